package import MantelControl

/// Answers to start from.
package enum Samples {
  package static let sha256 = "d0f631ca1ddba8db3bcfcb9e057cdc98d0379f1bee00e75a545147a27dadd982"
  package static let now = "2026-05-01T12:00:00Z"

  package static func status(_ change: (inout StatusAnswer) -> Void = { _ in }) -> StatusAnswer {
    var status = StatusAnswer(
      state: "complete", complete: true, settled: true,
      machine: MachineAnswer(name: "attic", id: String(repeating: "a", count: 64)),
      household: MachineAnswer(name: "attic's household", id: String(repeating: "b", count: 64)),
      role: "full", ledger: LedgerAnswer(seen: 1_203, safe: 1_200, pending: 0, skipped: 3),
      missing: FileCount(files: 0, bytes: 0), arriving: 0, peers: [peer()], reasons: [],
      libraries: [],
      discovery: "running", bytesPerSecond: 0, etaSeconds: nil, notices: [],
      replica: "/home/anna/Mantel", listeningPort: 62_683, time: now)
    change(&status)
    return status
  }

  package static func peer(_ change: (inout PeerAnswer) -> Void = { _ in }) -> PeerAnswer {
    var peer = PeerAnswer(
      name: "laptop", id: String(repeating: "c", count: 64), role: "full", state: "connected",
      complete: true, lacks: FileCount(files: 0, bytes: 0), lastSeen: now,
      attested: "2026-05-01T11:57:00Z", address: "192.0.2.7:62683",
      library: FileCount(files: 300, bytes: 900_000_000), heldHere: 300,
      receivedBytesPerSecond: 0, sentBytesPerSecond: 1_500, clockSkewSeconds: 0.2,
      version: "mantel 0.1.0")
    change(&peer)
    return peer
  }

  package static func folder() -> FolderAnswer {
    FolderAnswer(
      name: "Photos", id: String(repeating: "d", count: 32),
      directory: PathText(path: "/home/anna/Photos", pathBase64: nil), excludes: ["*.tmp"],
      state: "watched", ledger: LedgerAnswer(seen: 5, safe: 3, pending: 1, skipped: 1))
  }

  package static func file(_ change: (inout FileAnswer) -> Void = { _ in }) -> FileAnswer {
    var file = FileAnswer(
      machine: "attic", folder: "Photos", path: PathText(path: "2024/a.jpg", pathBase64: nil),
      size: 2_100_000, modified: "2024-05-01T10:00:00Z", state: "live", sha256: sha256,
      heldBy: ["attic", "laptop"], machines: 3, copies: 2, filesystems: 3)
    change(&file)
    return file
  }

  package static func job(
    kind: String = "restore", state: String = "done", counts: [String: FileCount] = [:],
    items: [JobItem] = [],
    next: Int = 0
  ) -> JobAnswer {
    JobAnswer(
      kind: kind, id: "7", state: state, message: nil, total: nil, counts: counts, items: items, next: next)
  }

  package static func verify(_ change: (inout VerifyAnswer) -> Void = { _ in }) -> VerifyAnswer {
    var verify = VerifyAnswer(
      number: 1, state: "done", files: 1_200, bytes: 3_600_000_000,
      total: FileCount(files: 1_200, bytes: 3_600_000_000), bad: 0, healed: 0, stillBad: 0, suspected: 0,
      disk: "WDC WD40EFRX, /dev/sda1, mounted on /srv")
    change(&verify)
    return verify
  }

  package static func forget(_ change: (inout ForgetAnswer) -> Void = { _ in }) -> ForgetAnswer {
    var forget = ForgetAnswer(
      pattern: "attic/Photos/2019/**", undo: false, dryRun: false, live: 12, retired: 1,
      contents: FileCount(files: 13, bytes: 34_000_000),
      examples: [PathText(path: "attic/Photos/2019/a.jpg", pathBase64: nil)],
      kept: [
        KeptAnswer(machine: "laptop", reason: "trash", files: 13, message: "on laptop: in its trash")
      ], asksOthers: false, consent: "13 photos")
    change(&forget)
    return forget
  }

  package static func role(_ change: (inout RoleAnswer) -> Void = { _ in }) -> RoleAnswer {
    var role = RoleAnswer(
      role: "source", former: "full", dryRun: false, copies: FileCount(files: 1_200, bytes: 3_600_000_000),
      missing: FileCount(files: 0, bytes: 0), freeBytes: 90_000_000_000, fullMachines: ["attic", "studio"])
    change(&role)
    return role
  }

  package static func leave(_ change: (inout LeaveAnswer) -> Void = { _ in }) -> LeaveAnswer {
    var leave = LeaveAnswer(
      household: "home", dryRun: false, unsafe: 0, pending: 0, onlyHere: 0,
      copies: FileCount(files: 1_200, bytes: 3_600_000_000), replica: "/home/anna/Mantel", told: ["attic"],
      fullMachines: ["attic"])
    change(&leave)
    return leave
  }

  package static func releasePreview(
    _ change: (inout ReleasePreviewAnswer) -> Void = { _ in }
  ) -> ReleasePreviewAnswer {
    var preview = ReleasePreviewAnswer(
      refusal: nil, copies: FileCount(files: 1_200, bytes: 3_600_000_000), contents: 1_100, attested: 1_090,
      single: 0, fullMachines: ["attic", "studio"])
    change(&preview)
    return preview
  }

  package static func release(_ change: (inout ReleaseAnswer) -> Void = { _ in }) -> ReleaseAnswer {
    var release = ReleaseAnswer(
      number: 1, state: "done", refusal: nil, looked: FileCount(files: 1_200, bytes: 3_600_000_000),
      released: FileCount(files: 1_200, bytes: 3_600_000_000), kept: [])
    change(&release)
    return release
  }

  package static func badFile() -> BadFileAnswer {
    BadFileAnswer(
      machine: "laptop", path: PathText(path: "/r/laptop/Photos/a.jpg", pathBase64: nil), sha256: sha256,
      size: 2_100_000, fault: "rotten", found: now, healed: nil, aside: nil)
  }

  package static func skipped() -> SkippedAnswer {
    SkippedAnswer(
      folder: "Photos", path: PathText(path: "link", pathBase64: nil), reason: "symlink",
      message: "a symbolic link")
  }

  package static func sum(_ path: String) -> SumAnswer {
    SumAnswer(sha256: sha256, path: PathText(path: path, pathBase64: nil), machine: "laptop")
  }
}
