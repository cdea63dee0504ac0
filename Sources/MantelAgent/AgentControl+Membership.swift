import MantelCatalog
import MantelControl
import MantelCore
import MantelHousehold
import MantelReplication

/// Roles, releases and leaving.
extension AgentControl {
  // MARK: Role

  func changeRole(_ query: RoleQuery) async throws(ControlError) -> RoleAnswer {
    try await answering {
      guard let role = [Role.full, .source].first(where: { $0.name == query.role }) else {
        throw ControlError(code: .usage, message: "a role is full or source, not \(query.role)")
      }
      let names = try await Names(engine)
      let answer = try await engine.ask { replicator in
        let copies = try replicator.copiesHere()
        let missing = try role == .full ? replicator.missingAsFull() : (files: 0, bytes: 0)
        let keepers = replicator.otherFullMachines + (role == .full ? [replicator.machine] : [])
        return RoleAnswer(
          role: role.name, former: replicator.role.name, dryRun: query.dryRun,
          copies: FileCount(files: copies.files, bytes: copies.bytes),
          missing: FileCount(files: missing.files, bytes: missing.bytes), freeBytes: replicator.roomForCopies,
          fullMachines: keepers.map(names.name))
      }
      if !query.dryRun {
        try await engine.perform(.roleChanged(role))
        await effects.keepHousehold(from: catalog, engine: engine)
      }
      return answer
    }
  }

  // MARK: Leaving

  func leave(_ query: LeaveQuery) async throws(ControlError) -> LeaveAnswer {
    try await answering {
      let status = try await status(wait: nil)
      let names = try await Names(engine)
      let keepers = try await engine.ask { try $0.knownKeepers() }
      let onlyHere = try await effects.walk { keepers.contentsOnlyHere() }
      let (answer, isMember, isAlone) = try await engine.ask { [replicaRoot] replicator in
        let copies = try replicator.copiesHere()
        return (
          LeaveAnswer(
            household: replicator.roster.name, dryRun: query.dryRun,
            unsafe: max(0, status.ledger.seen - status.ledger.skipped - status.ledger.safe),
            pending: status.reasons.first { $0.code == "pending" }?.files ?? 0,
            onlyHere: onlyHere,
            copies: FileCount(files: copies.files, bytes: copies.bytes), replica: replicaRoot,
            told: replicator.connectedMembers.map(names.name),
            fullMachines: replicator.otherFullMachines.map(names.name)),
          replicator.roster.isMember(replicator.machine),
          replicator.roster.members.count == 1 && replicator.roster.admitted.isEmpty
        )
      }
      guard isMember else {
        throw ControlError(
          code: .conflict,
          message: "this machine is no member of \(answer.household) any more; where it is still listed, say "
            + "`mantel peers remove \(try machineName())` there")
      }
      // The others would go on to wait for a machine that is gone.
      guard isAlone || !answer.told.isEmpty else {
        throw ControlError(
          code: .conflict,
          message: "no other machine is connected that could be told: start one and repeat this, or say "
            + "`mantel peers remove \(try machineName())` on another machine later")
      }
      guard !query.dryRun else { return answer }
      let statement = try await engine.ask { [key] replicator in
        let head = replicator.installedHead(of: replicator.machine)
        return try replicator.roster.removing(
          replicator.machine, lastHead: head?.order ?? .none, lastRoot: head?.root ?? .zero, by: key,
          now: AgentClock.wall)
      }
      try await engine.perform(.rosterReceived(nil, [statement.bytes]))
      return answer
    }
  }

  // MARK: Release

  /// Of one look into the catalog.
  private static let walkedContents = 4_096

  func releasePreview() async throws(ControlError) -> ReleasePreviewAnswer {
    try await answering {
      let names = try await Names(engine)
      let (keepers, refusal) = try await engine.ask { (try $0.knownKeepers(), $0.releaseRefusal) }
      let preview = try await effects.walk { [catalog] in
        var preview = ReleasePreview(refusal: refusal)
        var last: ContentID?
        repeat {
          let page = try catalog.replicaContents(after: last, limit: Self.walkedContents)
          keepers.count(page, into: &preview)
          last = page.last?.content
        } while last != nil
        return preview
      }
      return try await engine.ask { replicator in
        let copies = try replicator.copiesHere()
        return ReleasePreviewAnswer(
          refusal: preview.refusal.flatMap { Self.text($0, names) },
          copies: FileCount(files: copies.files, bytes: copies.bytes), contents: preview.contents,
          attested: preview.attested, single: preview.single,
          fullMachines: replicator.otherFullMachines.map(names.name))
      }
    }
  }

  func startRelease() async throws(ControlError) -> ReleaseAnswer {
    try await answering {
      let names = try await Names(engine)
      let refusal = await engine.ask { $0.releaseRefusal }
      if let text = refusal.flatMap({ Self.text($0, names) }) {
        throw ControlError(code: .conflict, message: text)
      }
      try await engine.perform(.releaseWanted)
      return try await releaseAnswer()
    }
  }

  func releaseProgress() async throws(ControlError) -> ReleaseAnswer {
    try await answering {
      await engine.ask { $0.keepReleasing(now: AgentClock.now) }
      return try await releaseAnswer()
    }
  }

  func stopRelease() async throws(ControlError) -> ReleaseAnswer {
    try await answering {
      try await engine.perform(.releaseStopped)
      return try await releaseAnswer()
    }
  }

  private func releaseAnswer() async throws -> ReleaseAnswer {
    let names = try await Names(engine)
    guard let report = await engine.ask({ $0.releaseReport }) else {
      let nothing = FileCount(files: 0, bytes: 0)
      return ReleaseAnswer(
        number: 0, state: "none", refusal: nil, looked: nothing, released: nothing, kept: [])
    }
    let kept = report.kept.map { why, tally in
      ReleaseAnswer.Kept(
        reason: why.code, copies: FileCount(files: tally.files, bytes: tally.bytes),
        message: Self.text(why, names), machine: why.machine.map(names.name))
    }
    return ReleaseAnswer(
      number: report.number, state: report.phase.rawValue,
      refusal: report.refusal.flatMap { Self.text($0, names) },
      looked: FileCount(files: report.looked.files, bytes: report.looked.bytes),
      released: FileCount(files: report.released.files, bytes: report.released.bytes),
      kept: kept.sorted { ($0.reason, $0.machine ?? "") < ($1.reason, $1.machine ?? "") })
  }

  /// Nil for what ends by itself within a moment.
  private static func text(_ refusal: ReleaseRefusal, _ names: Names) -> String? {
    switch refusal {
    case .isFull:
      "this machine keeps copies for the others (role full): `mantel role source` first, if it is to keep none"
    case .nobodyKeeps: "no other machine keeps copies: nothing can be let go of here"
    case .away(let machines):
      "\(machines.map(names.name).joined(separator: ", ")) must be connected, to show that the photos are there: start it, "
        + "or `mantel peers remove` it if it will not come back"
    case .replicaAway: "the replica is not there (not mounted?)"
    case .stillAttested: nil
    }
  }

  private static func text(_ why: ReleaseReport.Why, _ names: Names) -> String {
    switch why {
    case .unnamed: "no library of the household names them: they may be all that is left"
    case .unattested(let machine):
      "\(names.name(machine)) does not say that it holds them (it does not keep what was deleted or replaced in its own folders)"
    case .unproven(let machine): "\(names.name(machine)) says that it holds them, and did not show it"
    case .tooLarge: "too large, or empty: machines are not asked to show those"
    case .unreadable: "they cannot be read here, so that no machine could be asked to show them"
    case .failed: "they could not be removed now"
    }
  }
}

extension ReleaseReport.Why {
  fileprivate var code: String {
    switch self {
    case .unnamed: "unnamed"
    case .unattested: "unattested"
    case .unproven: "unproven"
    case .tooLarge: "tooLarge"
    case .unreadable: "unreadable"
    case .failed: "failed"
    }
  }

  fileprivate var machine: MachineID? {
    switch self {
    case .unattested(let machine), .unproven(let machine): machine
    default: nil
    }
  }
}
