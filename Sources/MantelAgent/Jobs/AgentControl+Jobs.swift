import Foundation
import MantelCatalog
import MantelControl
import MantelCore
import MantelDisk
import MantelReplication

extension AgentControl {
  /// Photos of each replica, and of each connected machine, that a drill may ask for.
  static let drillPhotos = 1...100
  /// Entries that one page of `at-risk` looks through.
  private static let atRiskEntries = 20_000

  // MARK: Jobs

  func startJob(_ request: JobRequest) async throws(ControlError) -> JobStart {
    try await answering {
      switch (request.restore, request.check, request.drill) {
      case (let restore?, nil, nil): return try await start(restore)
      case (nil, let check?, nil): return try await start(check)
      case (nil, nil, let drill?): return try await start(drill)
      default: throw ControlError(code: .usage, message: "a job is a restore, a check or a drill")
      }
    }
  }

  func job(id: String, after: Int, wait: Int) async throws(ControlError) -> JobAnswer {
    try await jobs.answer(id, after: after, wait: wait)
  }

  func cancelJob(id: String) async throws(ControlError) -> JobAnswer { try await jobs.cancel(id) }

  private func finder() async throws -> ContentFinder {
    ContentFinder(engine: engine, effects: effects, names: try await Names(engine))
  }

  private static func directory(_ base64: String) throws -> [UInt8] {
    guard let directory = Data(base64Encoded: base64).map(Array.init), directory.first == UInt8(ascii: "/"),
      !directory.contains(0)
    else { throw ControlError(code: .usage, message: "the directory is not an absolute path in base64") }
    return directory
  }

  private func start(_ check: JobRequest.Check) async throws -> JobStart {
    let directory = try Self.directory(check.directoryBase64)
    do {
      _ = try FilesystemFacts.identity(of: directory)
    } catch {
      throw ControlError(
        code: .notFound, message: "\(String(decoding: directory, as: UTF8.self)) cannot be read: \(error)")
    }
    let run = CheckRun(directory: directory, engine: engine, effects: effects)
    return JobStart(id: try jobs.start("check") { try await run.run($0) }, question: nil)
  }

  private func start(_ drill: JobRequest.Drill) async throws -> JobStart {
    guard Self.drillPhotos.contains(drill.photos) else {
      throw ControlError(
        code: .usage, message: "a drill takes 1 to \(Self.drillPhotos.upperBound) photos of each machine")
    }
    let run = DrillRun(photos: drill.photos, finder: try await finder())
    return JobStart(id: try jobs.start("drill") { try await run.run($0) }, question: nil)
  }

  // MARK: Restoring

  private func start(_ request: RestoreRequest) async throws -> JobStart {
    let finder = try await finder()
    let plan = try plan(request, finder.names)
    let destination = ResolvedPath(plan.directory)
    for own in plan.ownPaths where destination.lies(in: own) {
      throw ControlError(
        code: .usage,
        message:
          "\(String(decoding: plan.directory, as: UTF8.self)) is Mantel's own: restore to another directory")
    }
    if !plan.isDryRun, !request.mayWriteIntoFolder {
      let folders = await engine.ask { $0.folders }
      if let folder = folders.first(where: { Self.reaches($0, plan, finder.names) }) {
        return JobStart(
          id: nil,
          question:
            "This writes into the folder \(folder.name), which is backed up: what is restored counts as "
            + "new there. Nothing that is there is replaced. Go on?")
      }
    }
    let run = RestoreRun(plan: plan, finder: finder)
    return JobStart(id: try jobs.start("restore") { try await run.run($0) }, question: nil)
  }

  private func plan(_ request: RestoreRequest, _ names: Names) throws -> RestoreRun.Plan {
    var library = try request.machine.map { try names.machine($0) }
    // What was lost is most often one's own.
    if library == nil, request.pattern == nil { library = key.machine }
    var scope = request.retired ? RestoreScope.everything : .present
    if let text = request.asOf {
      guard let date = try? Date(text, strategy: .iso8601) else {
        throw ControlError(code: .usage, message: "\(text) is no ISO 8601 time, like 2026-05-01T12:00:00Z")
      }
      // 64 bits of nanoseconds end in 2262.
      let seconds = Int64(min(max(date.timeIntervalSince1970, -9e9), 9e9))
      scope = .asOf(WallTime(nanoseconds: seconds * 1_000_000_000))
    }
    return RestoreRun.Plan(
      libraries: library.map(names.lineage), pattern: request.pattern.map { Glob($0) }, scope: scope,
      layout: RestoreLayout(
        machine: library, pattern: request.pattern, machines: names.all.map { ($0, names.name($0)) }),
      directory: try Self.directory(request.directoryBase64),
      ownPaths: home.ownPaths(replica: replicaRoot).map(ResolvedPath.init), isDryRun: request.dryRun)
  }

  /// Whether a restore may write into a folder: its directory lies in it, or the folder is one of those that it fills.
  private static func reaches(_ folder: Folder, _ plan: RestoreRun.Plan, _ names: Names) -> Bool {
    let root = ResolvedPath(folder.root)
    let destination = ResolvedPath(plan.directory)
    if destination.lies(in: root) { return true }
    guard root.lies(in: destination) else { return false }
    return (plan.libraries ?? names.all).contains { machine in
      names.folderIDs(of: machine).contains { id in
        let name = names.folder(machine, id)
        let top = destination.appending(plan.layout.top(machine: machine, folder: name, id: id))
        return root.lies(in: top) || top.lies(in: root)
      }
    }
  }

  // MARK: At risk

  func atRisk(machine: String?, after: String?) async throws(ControlError) -> Page<FileAnswer> {
    try await answering {
      let names = try await Names(engine)
      let candidate = try machine.map { try names.machine($0) } ?? key.machine
      var position = try after.map { text in
        guard let position = EntryPosition(text: text) else {
          throw ControlError(code: .usage, message: "\(text) is no position of a listing")
        }
        return position
      }
      var atRisk: [InstalledEntry] = []
      var looked = 0
      repeat {
        let page = try catalog.entries(
          states: [.live, .retired], after: position, limit: Self.pageItems)
        atRisk += try await engine.ask { replicator in
          try page.entries.filter { try replicator.isAtRisk($0, with: candidate) }
        }
        looked += page.entries.count
        position = page.next
      } while position != nil && atRisk.count < Self.pageItems && looked < Self.atRiskEntries
      return Page(items: try await answers(atRisk, names), next: position?.text)
    }
  }
}
