import ArgumentParser
import Foundation
import MantelTestSupport

/// One machine's new photos to several others at once, on real links: how close to sending them once.
@main
struct SwarmCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mantel-swarm",
    abstract: "Measures how photos that one machine has spread to several that lack them.",
    discussion: """
      Every machine is a set of namespaces below TMPDIR, with a link of the given rate and an ext4 filesystem of its own \
      on a loop device. Printed are the times until all copies are durable, by the time that one link needs for the \
      photos, and the bytes that the source's link carried, by theirs. Exit code 1: more than the bounds.
      """)

  @Option(help: "Machines that lack the photos.")
  var receivers = 4
  @Option(help: "Photos, and bytes of each.")
  var photos = 200
  @Option var bytes = 1_000_000
  @Option(help: "Megabits a second of every link, each way.")
  var rate = 100
  @Option(help: "Megabits a second of a receiver that is slower; may be given several times.")
  var slow: [Int] = []
  @Option(help: "The most that times, but those of slow receivers, may be, by the time of one link.")
  var mostTime = 1.15
  @Option(help: "The most that the source may send, by the bytes of the photos.")
  var mostSent = 1.15
  @Flag(help: "All files on the filesystem of TMPDIR: where there are no loop devices.")
  var sharedDisk = false
  @Option(help: ArgumentHelp("Also write everything as JSON.", valueName: "file"))
  var json: String?

  func validate() throws {
    guard (1...26).contains(receivers), slow.count < receivers || slow.isEmpty else {
      throw ValidationError("--receivers is 1 to 26, and one of them is not slow")
    }
    guard photos > 0, bytes > 0, rate > 0, slow.allSatisfy({ $0 > 0 }) else {
      throw ValidationError("photos, bytes and rates are more than 0")
    }
  }

  func run() async throws {
    var swarm = LabSwarm()
    swarm.receivers = receivers
    swarm.photos = photos
    swarm.photoBytes = bytes
    swarm.rate = rate * 1_000_000
    swarm.slow = slow.map { $0 * 1_000_000 }
    swarm.hasOwnDisks = !sharedDisk
    let outcome = try await swarm.run()
    print(outcome.text, terminator: "")
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      try (encoder.encode(outcome) + Data("\n".utf8)).write(to: URL(filePath: json))
    }
    let times = outcome.timeRatios.prefix(receivers - slow.count)
    if times.contains(where: { $0 > mostTime }) || outcome.sentRatio > mostSent { throw ExitCode(1) }
  }
}
