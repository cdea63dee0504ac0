import MantelCatalog
import MantelControl
import MantelCore
import MantelDisk
import MantelReplication

extension AgentControl {
  func startVerify(_ query: VerifyQuery) async throws(ControlError) -> VerifyAnswer {
    try await answering {
      let library = try await Names(engine).optionalMachine(query.machine)
      try await engine.perform(.verifyWanted(VerifyRequest(isAll: query.all, library: library)))
      return await verifyAnswer()
    }
  }

  func verifyProgress() async throws(ControlError) -> VerifyAnswer {
    await engine.ask { $0.keepVerifying(now: AgentClock.now) }
    return await verifyAnswer()
  }

  func stopVerify() async throws(ControlError) -> VerifyAnswer {
    await engine.handle(.verifyStopped)
    return await verifyAnswer()
  }

  func acknowledgeBadFiles() async throws(ControlError) {
    let catalog = catalog
    try await answering {
      try await engine.ask { _ in
        try catalog.acknowledgeBadFiles()
        try catalog.acknowledgeLost()
      }
      try await engine.perform(.orphansAcknowledged)
    }
  }

  private func verifyAnswer() async -> VerifyAnswer {
    let report = await engine.ask { $0.verifyReport }
    return VerifyAnswer(
      number: report?.number ?? 0, state: report?.phase.rawValue ?? "none", files: report?.files ?? 0,
      bytes: report?.bytes ?? 0,
      total: FileCount(files: report?.totalFiles ?? 0, bytes: report?.totalBytes ?? 0),
      bad: report?.bad ?? 0, healed: report?.healed ?? 0, stillBad: report?.stillBad ?? 0,
      suspected: report?.suspected ?? 0, disk: DiskPlace(of: effects.replica.root).text)
  }

  func badFiles(after: String?) async throws(ControlError) -> Page<BadFileAnswer> {
    try await answering {
      let names = try await Names(engine)
      let start = try after.map { text in
        guard let number = Int64(text) else {
          throw ControlError(code: .usage, message: "\(text) is no position of a listing")
        }
        return number
      }
      let page = try catalog.badFiles(after: start, limit: Self.pageItems)
      let root = Array(replicaRoot.utf8) + [UInt8(ascii: "/")]
      let items = page.map { _, file in
        BadFileAnswer(
          machine: names.name(file.library), path: Self.text(root + file.path), sha256: file.content.hex,
          size: file.size, fault: file.fault.code, found: Self.text(file.found),
          healed: file.healed.map(Self.text), aside: file.aside.map { Self.text(root + $0) })
      }
      let last = page.count == Self.pageItems ? page.last : nil
      return Page(items: items, next: last.map { String($0.number) })
    }
  }

  /// What was healed lately, in a sentence; nil when there is nothing to tell, or it was acknowledged.
  func healedNotice() throws -> String? {
    let since = WallTime(nanoseconds: AgentClock.wall.nanoseconds - Self.notices.inNanoseconds)
    let counts = try catalog.badFileCounts(healedSince: since)
    guard counts.healed > 0 else { return nil }
    let files = counts.healed == 1 ? "1 bad copy was" : "\(counts.healed) bad copies were"
    return
      "\(files) found and healed in the last 14 days\(onDisk); `mantel verify --acknowledge` ends this notice"
  }

  /// What a reason about rot says beyond its count: the disk, and a file to begin with.
  func details(of code: String) throws -> String {
    switch code {
    case "badFiles", "unhealable": return onDisk
    case "suspectedRot":
      let roots = Dictionary(try catalog.folders().map { ($0.id, $0.root) }) { first, _ in first }
      guard let file = try catalog.suspectedFiles(limit: 1).first, let root = roots[file.folder] else {
        return ""
      }
      return "; the first is \(Self.text(root + [UInt8(ascii: "/")] + file.path).path)"
    default: return ""
    }
  }

  /// ` on WDC WD40EFRX, /dev/sda1, mounted on /srv`
  var onDisk: String { DiskPlace(of: effects.replica.root).text.map { " on \($0)" } ?? "" }
}

extension FileFault {
  fileprivate var code: String {
    switch self {
    case .rotten: "rotten"
    case .unreadable: "unreadable"
    case .changed: "changed"
    case .vanished: "vanished"
    }
  }
}

extension Names {
  func optionalMachine(_ name: String?) throws -> MachineID? { try name.map { try machine($0) } }
}
