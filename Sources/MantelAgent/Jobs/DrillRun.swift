import Foundation
import MantelCatalog
import MantelControl
import MantelCore
import MantelDisk
import MantelReplication

/// Restores some random photos of each replica, and some over the network from each machine that is connected, into a
/// directory that it removes again, and compares them: a backup that nobody ever restored from is a hope.
struct DrillRun: Sendable {
  /// What came of one machine's photos.
  private struct Tally {
    var right = 0
    var bytes: UInt64 = 0
    var faults: [String] = []
    /// Nothing could be tried, and why.
    var obstacles: [String] = []
    var words: [String] = []

    var state: String { !faults.isEmpty ? "wrong" : !obstacles.isEmpty ? "unavailable" : "right" }
  }

  let photos: Int
  let finder: ContentFinder

  /// Larger contents are passed over: a drill takes seconds.
  static let contentBytes: UInt64 = 256 << 20
  /// Random places that are looked at for one photo.
  private static let attempts = 4

  private var engine: Engine { finder.engine }
  private var effects: Effects { finder.effects }

  func run(_ progress: JobProgress) async throws {
    let others = await engine.ask { replicator in
      let machine = replicator.machine
      return replicator.roster.members.map(\.machine).filter { $0 != machine }.sorted()
    }
    guard !others.isEmpty else {
      throw ControlError(
        code: .conflict, message: "there is no other machine yet, so nothing to restore from: `mantel invite`"
      )
    }
    let scratch = FileManager.default.temporaryDirectory.path + "/mantel-drill-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: scratch, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let outcome: Result<Void, any Error>
    do {
      for other in others { try await drill(other, in: scratch, progress) }
      outcome = .success(())
    } catch {
      outcome = .failure(error)
    }
    try FileManager.default.removeItem(atPath: scratch)
    try outcome.get()
  }

  private func drill(_ other: MachineID, in scratch: String, _ progress: JobProgress) async throws {
    var tally = Tally()
    try await drillReplica(of: other, in: scratch, &tally)
    try await drillNetwork(from: other, in: scratch, &tally)
    if tally.right > 0 { progress.count("right", files: tally.right, bytes: tally.bytes) }
    if !tally.faults.isEmpty { progress.count("wrong", files: tally.faults.count, bytes: 0) }
    if tally.state == "unavailable" { progress.count("unavailable", files: tally.obstacles.count, bytes: 0) }
    try await progress.say(
      JobItem(
        state: tally.state, machine: finder.names.name(other),
        message: (tally.faults + tally.obstacles + tally.words).joined(separator: "; ")))
  }

  // MARK: From the replica here

  private func drillReplica(of other: MachineID, in scratch: String, _ tally: inout Tally) async throws {
    let (role, wanted) = await engine.ask { ($0.role, $0.drillable(of: other)) }
    guard role == .full else {
      tally.words.append("this machine keeps no copies (role source)")
      return
    }
    guard wanted > 0 else {
      tally.words.append("it has no photos")
      return
    }
    let sample = try await sample(of: other, servedBy: nil)
    guard !sample.isEmpty else {
      tally.obstacles.append("none of its photos is here yet")
      return
    }
    var right = 0
    for installed in sample {
      let sources = try finder.sources(of: installed.entry.content)
      if let fault = try await compare(installed, sources, in: scratch) {
        tally.faults.append("\(name(of: installed)) from the replica here: \(fault)")
      } else {
        right += 1
        tally.bytes += installed.entry.size
      }
    }
    tally.right += right
    tally.words.append("\(right) of \(sample.count) of its photos came back from the replica here")
  }

  // MARK: Over the network

  private func drillNetwork(from other: MachineID, in scratch: String, _ tally: inout Tally) async throws {
    guard await engine.connected.contains(other) else {
      tally.words.append("it is not connected, so nothing was tried over the network")
      return
    }
    // What matters most is whether this machine's own photos come back from there.
    let own = await engine.ask { $0.machine }
    var sample = try await sample(of: own, servedBy: other)
    if sample.isEmpty { sample = try await self.sample(of: other, servedBy: other) }
    guard !sample.isEmpty else {
      tally.words.append("it has nothing to send")
      return
    }
    var right = 0
    for installed in sample {
      if let fault = try await fetch(installed, from: other, in: scratch) {
        tally.faults.append("\(name(of: installed)) over the network: \(fault)")
      } else {
        right += 1
        tally.bytes += installed.entry.size
      }
    }
    tally.right += right
    tally.words.append("\(right) of \(sample.count) photos came back over the network")
  }

  /// Nil when the photo came back right.
  private func fetch(
    _ installed: InstalledEntry, from other: MachineID, in scratch: String
  ) async throws -> String? {
    let recaller = effects.recaller
    let id = recaller.open(RecallOrder(installed, isAfresh: true, only: other))
    let result: Result<String?, any Error>
    do {
      let outcome = try await recaller.outcome(of: id, engine: engine)
      let source = RestoreSource.staged(effects.replica, installed.entry.content)
      result = .success(
        outcome == .here
          ? try await compare(installed, [source], in: scratch)
          : try await finder.reason(outcome, installed))
    } catch {
      result = .failure(error)
    }
    await recaller.release(id, engine: engine)
    return try result.get()
  }

  // MARK: Choosing and comparing

  /// Different photos at random, fewer if there are not as many.
  private func sample(of library: MachineID, servedBy server: MachineID?) async throws -> [InstalledEntry] {
    var chosen: [ContentID: InstalledEntry] = [:]
    var seen: Set<ContentID> = []
    var random = SystemRandomNumberGenerator()
    for _ in 0..<photos * Self.attempts where chosen.count < photos {
      let start = Digest256(random.next(), random.next(), random.next(), random.next())
      let candidate = await engine.ask { [seen] in
        $0.drillCandidate(of: library, servedBy: server, from: start, except: seen)
      }
      guard let content = candidate else { break }
      seen.insert(content)
      guard let installed = try engine.catalog.entries(library, of: content).first,
        installed.entry.size <= Self.contentBytes
      else { continue }
      chosen[content] = installed
    }
    return chosen.values.sorted { $0.entry.content < $1.entry.content }
  }

  /// Restores a photo and reads it again; nil when name, time and every byte are right.
  private func compare(
    _ installed: InstalledEntry, _ sources: [RestoreSource], in scratch: String
  ) async throws -> String? {
    let entry = installed.entry
    let root = Array(scratch.utf8)
    let file = RestoreFile(
      content: entry.content, size: entry.size, mtime: entry.mtime,
      path: Array("\(entry.content.hex)/".utf8) + entry.path)
    return try await effects.readThrough {
      let target = try RestoreTarget(root: root)
      do {
        guard let path = try target.write([(file, sources)]).first?.get().path, path == file.path else {
          return "it did not get its name"
        }
        let read = try FileReader.hash(root: root, path: path, fsync: false)
        guard read.content == entry.content else { return "other bytes came back" }
        return read.stampAfter.mtime == entry.mtime ? nil : "its time did not come back"
      } catch let error as DiskError where error.code == .changed {
        return "the file that should have its bytes has not"
      } catch let error as DiskError {
        return RestoreRun.words(error)
      }
    }
  }

  private func name(of installed: InstalledEntry) -> String {
    String(decoding: finder.names.path(of: installed), as: UTF8.self)
  }
}
