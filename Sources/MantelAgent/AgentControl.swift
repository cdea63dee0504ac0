import Foundation
import MantelCatalog
import MantelControl
import MantelCore
import MantelDisk
import MantelHousehold
import MantelReplication
import MantelTransport

/// Answers the command line and the gallery out of the running agent.
struct AgentControl: ControlService {
  let home: Home
  let replicaRoot: String
  let port: UInt16
  let key: DeviceKey
  let engine: Engine
  let effects: Effects
  let catalog: Catalog
  let transport: Transport
  let scanner: FolderScanner
  let dialer: PeerDialer
  let discovery: DiscoveryService
  let invitations: Invitations
  let rates: TransferRates
  let sessionRates = SessionRates()
  let jobs: Jobs
  let catalogCheck: CatalogCheck
  let started = AgentClock.instant

  static let pageItems = 500
  /// `status --wait` does not call a machine alone before this long after start, while somebody is being dialled.
  static let dialPatience: Duration = .seconds(30)
  static let notices: Duration = .seconds(14 * 86_400)
  private static let shortestPoll: Duration = .milliseconds(100)
  private static let longestPoll: Duration = .seconds(5)

  // MARK: Status

  func status(wait: Int?) async throws(ControlError) -> StatusAnswer {
    guard let wait else { return try await statusNow() }
    let deadline = AgentClock.instant + .seconds(max(0, wait))
    await scanner.scanAll()
    while true {
      let begun = AgentClock.instant
      let answer = try await statusNow()
      let mayBeAlone =
        AgentClock.instant - started < Self.dialPatience && (dialer.isDialling || discovery.isStarting)
      if answer.settled, !scanner.isBusy, !mayBeAlone { return answer }
      if answer.state == "attention" || AgentClock.instant >= deadline { return answer }
      // Looking must not slow down what is awaited: a look takes at most a fifth of the engine's time.
      let pause = max(Self.shortestPoll, min(Self.longestPoll, (AgentClock.instant - begun) * 4))
      do { try await Task.sleep(for: pause) } catch { return answer }
    }
  }

  private func statusNow() async throws(ControlError) -> StatusAnswer {
    try await answering {
      let (report, household, role, notices) = try await snapshot()
      let peers = try await peerAnswers(report)
      // Removed machines have names too: what they left is still here.
      let names = try await Names(engine).machines
      let folders = await engine.ask { $0.folders }
      let folderNames = Dictionary(folders.map { ($0.id, $0.name) }) { first, _ in first }
      var reasons = report.reasons.map { Self.answer($0, names, folders: folderNames) }
      for index in reasons.indices { reasons[index].message += try details(of: reasons[index].code) }
      let failure = await engine.catalogFailure
      if let failure {
        reasons.append(
          ReasonAnswer(
            code: failure.code == .diskFull ? "diskSpace" : "catalog",
            message: "nothing can be recorded: \(failure.message); copies that are here are still served"))
      }
      let damage = catalogCheck.damage
      if let damage { reasons.append(Self.answer(damage: damage, replica: replicaRoot)) }
      let speed = rates.bytesPerSecond
      let remaining = max(report.missingBytes, report.peers.map(\.lacksBytes).max() ?? 0)
      return StatusAnswer(
        state: damage != nil
          ? "attention" : failure != nil && report.state != .attention ? "waiting" : report.state.rawValue,
        complete: report.isComplete && failure == nil && damage == nil,
        settled: report.isSettledEverywhere && failure == nil && damage == nil,
        machine: MachineAnswer(name: try machineName(), id: key.machine.hex),
        household: household, role: role == .full ? "full" : "source",
        ledger: LedgerAnswer(
          seen: report.ledger.seen, safe: report.ledger.safe, pending: report.ledger.pending,
          skipped: report.ledger.skipped),
        missing: FileCount(files: report.missingFiles, bytes: report.missingBytes),
        arriving: report.arriving, peers: peers, reasons: reasons, libraries: await libraryAnswers(names),
        discovery: discovery.stateText, bytesPerSecond: speed,
        etaSeconds: speed > 0 && remaining > 0 ? Double(remaining) / speed : nil,
        notices: notices + [try healedNotice()].compactMap(\.self) + (try await requestNotices()),
        replica: replicaRoot,
        listeningPort: Int(port),
        time: Self.text(AgentClock.wall), trash: report.trash.map { Self.answer($0, names) },
        forgotten: try await forgottenAnswers())
    }
  }

  private func snapshot() async throws -> (StatusReport, MachineAnswer, Role, [String]) {
    let (counted, safety) = try await engine.ask { [catalog] replicator in
      let safety = replicator.ownSafety()
      if case .mixed = safety { return (nil as Snapshot?, safety) }
      // Between two events, so that ledger and safe set are of one moment.
      let unsafe = try Self.unsafeFiles(catalog, published: try catalog.publishedFiles(), safety)
      return (try Self.snapshot(&replicator, catalog, unsafe: unsafe), safety)
    }
    if let counted { return counted }
    // All files have to be walked, and meanwhile the decisions go on: what becomes safe then is told by the next status.
    let unsafe = try await effects.walk { [catalog] in
      try Self.unsafeFiles(catalog, published: try catalog.publishedFiles(), safety)
    }
    return try await engine.ask { [catalog] in try Self.snapshot(&$0, catalog, unsafe: unsafe) }
  }

  private typealias Snapshot = (StatusReport, MachineAnswer, Role, [String])

  private static func snapshot(
    _ replicator: inout Replicator, _ catalog: Catalog, unsafe: Int
  ) throws -> Snapshot {
    let counts = try catalog.folderCounts()
    let unwritten = replicator.unwrittenFiles
    let published = counts.reduce(0) { $0 + $1.published }
    let unsafe = min(unsafe, published)
    // Files that wait to be safe are pending in the ledger, and a reason of their own.
    let settling = counts.reduce(unwritten) { $0 + $1.pending }
    var tally = LedgerCounts(
      seen: counts.reduce(unwritten) { $0 + $1.seen }, safe: published - unsafe, pending: settling,
      skipped: counts.reduce(0) { $0 + $1.skipped })
    let now = AgentClock.now
    var report = try replicator.report(tally: tally, publishedUnsafe: unsafe, now: now)
    tally.pending += unsafe
    report.ledger = tally
    let household = MachineAnswer(name: replicator.roster.name, id: replicator.household.hex)
    let names = Dictionary(replicator.roster.members.map { ($0.machine, $0.name) }) { first, _ in first }
    let sharing = replicator.sharedFilesystems.map { machines in
      Self.notice(sharing: machines.map { names[$0] ?? $0.short })
    }
    return (report, household, replicator.role, Self.notices(replicator.roster, now: now) + sharing)
  }

  private static func unsafeFiles(
    _ catalog: Catalog, published: Int, _ safety: OwnSafety
  ) throws -> Int {
    switch safety {
    case .allBut(let contents): return try catalog.publishedFileCount(of: contents)
    case .only(let contents): return published - (try catalog.publishedFileCount(of: contents))
    case .mixed(let safe):
      var unsafe = 0
      try catalog.forEachPublishedOwnFile { _, _, content, _ in
        if !safe.contains(content.digest) { unsafe += 1 }
        return true
      }
      return unsafe
    }
  }

  /// The proof of completeness, library by library.
  private func libraryAnswers(_ names: [MachineID: String]) async -> [LibraryAnswer] {
    await engine.ask { replicator in
      replicator.owedLibraries.map { owner in
        let roots = replicator.roots(of: owner)
        let order = replicator.installedHead(of: owner)?.order ?? .none
        return LibraryAnswer(
          machine: owner == replicator.machine
            ? replicator.records[owner]?.record.name ?? owner.short : names[owner] ?? owner.short,
          epoch: order.epoch, sequence: order.sequence, contents: roots.files,
          wantedRoot: roots.wanted.hex, heldRoot: roots.held.hex)
      }
    }
  }

  // MARK: Peers

  private func peerAnswers(
    _ report: StatusReport, roundTrips: [SessionID: Duration] = [:]
  ) async throws -> [PeerAnswer] {
    let sessions = transport.statistics().sessions
    let speeds = sessionRates.update(sessions)
    var answers: [PeerAnswer] = []
    for peer in report.peers {
      let session = sessions.first { $0.peer == peer.machine }
      let addresses = try catalog.peerAddresses(peer.machine)
      let seen = await engine.seenAt(peer.machine) ?? addresses.compactMap(\.lastSuccess).max()
      let head = await engine.ask { $0.installedHead(of: peer.machine) }
      let speed = session.flatMap { speeds[$0.session] }
      answers.append(
        PeerAnswer(
          name: peer.name, id: peer.machine.hex, role: peer.role == .full ? "full" : "source",
          state: peer.isConnected ? "connected" : "away", complete: peer.isComplete,
          lacks: FileCount(files: peer.lacksFiles, bytes: peer.lacksBytes),
          lastSeen: (peer.isConnected ? AgentClock.wall : seen).map(Self.text),
          attested: peer.attested.map(Self.text),
          address: session.map { "\($0.remote)" } ?? addresses.first.map { "\($0.address)" },
          library: head.map { FileCount(files: peer.libraryFiles, bytes: $0.counts.bytes) },
          heldHere: peer.heldHere, receivedBytesPerSecond: speed?.received ?? 0,
          sentBytesPerSecond: speed?.sent ?? 0,
          clockSkewSeconds: peer.clockSkew?.inSeconds, version: peer.program,
          reread: await engine.ask { $0.rereadAt(peer.machine) }.map(Self.text),
          roundTripSeconds: session.flatMap { roundTrips[$0.session] }?.inSeconds))
    }
    return answers
  }

  /// How long pings wait for their answers.
  private static let pingPatience: Duration = .seconds(5)

  private func roundTrips() async -> [SessionID: Duration] {
    await withTaskGroup(of: (SessionID, Duration?).self) { group in
      for session in transport.statistics().sessions.map(\.session) {
        group.addTask { [transport] in
          (session, await transport.roundTrip(of: session, within: Self.pingPatience))
        }
      }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  func peers(isPinging: Bool) async throws(ControlError) -> PeersAnswer {
    try await answering {
      let roundTrips = isPinging ? await roundTrips() : [:]
      if sessionRates.areStale(transport.statistics().sessions) {
        // Nobody has asked lately: a rate needs two looks.
        try await Task.sleep(for: SessionRates.shortest)
      }
      let (report, _, _, _) = try await snapshot()
      let (admitted, removed) = await engine.ask { replicator in
        let names = Dictionary(replicator.roster.members.map { ($0.machine, $0.name) }) { first, _ in first }
        return (
          replicator.roster.admitted.map {
            PeersAnswer.Admitted(
              name: $0.name, id: $0.machine.hex, admittedBy: names[$0.addedBy] ?? $0.addedBy.short,
              admittedAt: Self.text($0.addedAt))
          },
          replicator.roster.removed.map {
            PeersAnswer.Removed(
              name: $0.name, id: $0.machine.hex, removedBy: names[$0.removedBy] ?? $0.removedBy.short)
          }
        )
      }
      return PeersAnswer(
        peers: try await peerAnswers(report, roundTrips: roundTrips), admitted: admitted,
        strangers: dialer.strangers.sorted { $0.key < $1.key }.map {
          PeersAnswer.Stranger(instance: $0.key, address: "\($0.value)")
        },
        removed: removed, fixedAddresses: try catalog.fixedAddresses().map(\.description))
    }
  }

  func addPeer(address text: String) async throws(ControlError) {
    try await answering {
      guard let address = NetworkAddress(text) else {
        throw ControlError(code: .usage, message: "\(text) is not HOST:PORT")
      }
      try catalog.addFixedAddress(address)
      dialer.reconsider()
    }
  }

  func removePeer(name: String) async throws(ControlError) -> RemovalAnswer {
    try await answering {
      if let address = NetworkAddress(name), try catalog.removeFixedAddress(address) {
        dialer.reconsider()
        return RemovalAnswer(kind: "address", name: name, admitted: [])
      }
      let removal = try await engine.ask { replicator in
        try PeerRemoval.statement(name: name, replicator: &replicator, key: key)
      }
      try await engine.perform(.rosterReceived(nil, [removal.statement.bytes]))
      return RemovalAnswer(kind: "machine", name: removal.name, admitted: removal.admitted)
    }
  }

  func acceptPeer(name: String) async throws(ControlError) -> AcceptAnswer {
    try await answering {
      let names = try await Names(engine)
      let machine = try MachineID(hex: name) ?? names.machine(name)
      guard let entries = await engine.ask({ $0.heldGrowth()[machine] }) else {
        throw ControlError(
          code: .notFound,
          message: "nothing of \(names.name(machine))'s library waits for a confirmation here")
      }
      try await engine.perform(.growthAccepted(machine))
      return AcceptAnswer(name: names.name(machine), accepted: Int(clamping: entries))
    }
  }

  func invite(seconds: Int) async throws(ControlError) -> InviteAnswer {
    guard (10...86_400).contains(seconds) else {
      throw ControlError(code: .usage, message: "an invite lasts from 10 seconds to a day")
    }
    let code = invitations.open(lifetime: .seconds(seconds))
    let expires = WallTime(nanoseconds: AgentClock.wall.nanoseconds + Int64(seconds) * 1_000_000_000)
    return InviteAnswer(
      code: code.display, expires: Self.text(expires),
      addresses: LocalAddresses.list(port: port).map(\.description))
  }

  // MARK: Helpers

  func machineName() throws -> String {
    try catalog.value(.machineName).map { String(decoding: $0, as: UTF8.self) } ?? "machine"
  }

  /// ISO 8601 in UTC, to the second.
  static func text(_ time: WallTime) -> String {
    Date(timeIntervalSince1970: Double(time.seconds)).formatted(.iso8601)
  }

  static func text(_ path: [UInt8]) -> PathText {
    PathText(bytes: path)
  }

  /// Turns what went wrong into words for the person who asked.
  func answering<Answer>(
    _ body: () async throws -> Answer
  ) async throws(ControlError) -> Answer {
    do {
      return try await body()
    } catch let error as ControlError {
      throw error
    } catch let error as AgentError {
      let code: ControlError.Code =
        switch error.code {
        case .usage: .usage
        case .conflict, .locked: .conflict
        default: .internalError
        }
      throw ControlError(code: code, message: error.message)
    } catch {
      throw ControlError(code: .internalError, message: "\(error)")
    }
  }
}
