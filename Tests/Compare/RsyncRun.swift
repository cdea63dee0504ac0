import Foundation
import MantelTestSupport

/// `rsync -a` to a daemon: no encryption, and no fsync unless asked for.
struct RsyncRun {
  private let round: Round
  private let fsync: Bool

  private static let port = 8_730

  init(_ round: Round, fsync: Bool) {
    self.round = round
    self.fsync = fsync
  }

  func copy() async throws -> Measurement {
    let directory = round.directory(on: round.receiver)
    let destination = "\(directory)/copy"
    try FileManager.default.createDirectory(atPath: destination, withIntermediateDirectories: true)
    try await startDaemon(directory: directory, destination: destination)
    let before = try await ProcessorTimes(round)
    let seconds = try await send()
    let after = try await ProcessorTimes(round)
    return Measurement(
      transfer: Phase(seconds: seconds, from: before, to: after), destination: destination)
  }

  private func startDaemon(directory: String, destination: String) async throws {
    try """
    use chroot = no
    uid = root
    gid = root
    reverse lookup = no
    pid file = \(directory)/pid
    [copy]
    path = \(destination)
    read only = no
    """.write(toFile: "\(directory)/rsyncd.conf", atomically: false, encoding: .utf8)
    let daemon = try await round.receiver.spawn([
      "rsync", "--daemon", "--no-detach", "--config=\(directory)/rsyncd.conf",
      "--address=\(round.receiver.address)", "--port=\(Self.port)",
    ])
    try await eventually("rsync's daemon answers:\n\(daemon.stderr)") {
      let list = try await round.sender.run(["rsync", "rsync://\(round.receiver.address):\(Self.port)/"])
      return list.exitCode == 0 && list.stdout.hasPrefix("copy")
    }
  }

  /// The seconds from start to exit. The shell reads the clock, so that nobody's polling is in it, and stays, so that
  /// the processor time can be read.
  private func send() async throws -> Double {
    let script = """
      begin=$EPOCHREALTIME; "$@"; status=$?; end=$EPOCHREALTIME
      echo "ended $status $begin $end"
      exec sleep infinity
      """
    let process = try await round.sender.spawn(
      ["bash", "-c", script, "rsync", "rsync", "-a"] + (fsync ? ["--fsync"] : [])
        + ["\(round.work.directory)/", "rsync://\(round.receiver.address):\(Self.port)/copy/"])
    let line = try await process.line("rsync has ended", within: round.patience) { $0.hasPrefix("ended ") }
    let words = line.split(separator: " ")
    guard words.count == 4, words[1] == "0", let begin = Double(words[2]), let end = Double(words[3]) else {
      throw CompareError("rsync: \(line)\n\(process.stderr)")
    }
    return end - begin
  }
}
