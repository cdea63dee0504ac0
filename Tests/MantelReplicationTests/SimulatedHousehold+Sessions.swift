import MantelCore
import MantelSummary
import MantelTestSupport

@testable import MantelReplication

/// What the sessions at both ends of a link make of commands: requests that are answered in pieces, while everything
/// else goes on, and that may be refused or end early.
extension SimulatedHousehold {
  // MARK: The wire

  /// Something arrives at the other side of a link, after all that was sent before; nowhere, when the cable is cut.
  func send(_ link: LinkID, to index: Int, within milliseconds: Int64 = 5, _ run: @escaping () throws -> Void)
  {
    let least = Int64(random.below(Int(milliseconds) * 1_000)) + 1
    let flight = Duration.microseconds(least * (slowness[link] ?? 1))
    let due = max(now.instant + flight, arrivals[link]?[index] ?? now.instant)
    arrivals[link]?[index] = due
    schedule(at: due) { [self] in try arrive(Way(link: link, to: index), run) }
  }

  func tell(_ event: ReplicationEvent, _ link: LinkID, to index: Int) {
    send(link, to: index) { [self] in try handle(event, at: index) }
  }

  func sayHello(_ link: LinkID, from index: Int, to peer: Int) {
    guard
      let isDialer = machines[peer].links[link]?.isDialer ?? machines[index].links[link].map({ !$0.isDialer })
    else { return }
    let wall = clocks(of: index).wall
    let roster = machines[index].replicator.roster
    let statements = roster.statements.map(\.bytes)
    guard let greeting = machines[index].ask({ $0.greet(machines[peer].machine, over: link) }) else { return }
    let orders = greeting.heads.map { ($0.record.library, $0.record.order) }
    let opening = LinkOpening(
      machine: machines[index].machine, heads: Dictionary(uniqueKeysWithValues: orders),
      holdingsCount: UInt64(greeting.holdings.count), holdingsRoot: greeting.holdings.root,
      rosterHash: roster.hash, time: wall, isDialer: isDialer, takesPulls: takesPulls,
      saysItsWord: greeting.attestations.contains { $0.record.holder == machines[index].machine })
    send(link, to: peer, within: 30) { [self] in
      machines[peer].links[link]?.isOpen = true
      try handle(.linkOpened(link, opening), at: peer)
      // The news that a hello shows the peer to lack; here all of it, for the decisions take what is new.
      try handle(.rosterReceived(link, statements), at: peer)
    }
    for record in greeting.records { tell(.recordReceived(link, record), link, to: peer) }
    for head in greeting.heads { tell(.headReceived(link, head), link, to: peer) }
    for attestation in greeting.attestations { tell(.attestationReceived(link, attestation), link, to: peer) }
  }

  /// This side of a link is over: what was open ends, as a session ends it.
  func end(_ link: LinkID, at index: Int) throws {
    if isPutOff(at: index, { [self] in try end(link, at: index) }) { return }
    guard let closed = machines[index].links[link] else { return }
    for unit in closed.units.keys.sorted() { try handle(.unitEnded(link, unit, .cancelled), at: index) }
    for job in closed.jobs.sorted(by: { $0.number < $1.number }) {
      try handle(.jobEnded(link, job, .cancelled), at: index)
    }
    machines[index].links[link] = nil
    try handle(.linkClosed(link), at: index)
  }

  // MARK: Commands

  func obey(_ command: LinkCommand, _ link: LinkID, from index: Int, to peer: Int) throws {
    switch command {
    case .announceHead(let head): tell(.headReceived(link, head), link, to: peer)
    case .announceRecord(let record): tell(.recordReceived(link, record), link, to: peer)
    case .announceForgetRequest(let request): tell(.forgetRequestReceived(link, request), link, to: peer)
    case .announceAttestation(let attestation): tell(.attestationReceived(link, attestation), link, to: peer)
    case .announceRoster(let statements): tell(.rosterReceived(link, statements), link, to: peer)
    case .available(let added, let removed):
      tell(.availabilityChanged(link, added: added, removed: removed), link, to: peer)
    case .availableBlocks(let content, let ranges):
      tell(.blocksAvailable(link, content, ranges), link, to: peer)
    case .fetchDelta(let job, let library, let older, let newer):
      open(job, link, at: index)
      send(link, to: peer) { [self] in
        try serveDelta(job, library, from: older, to: newer, cursor: 0, link, at: peer, for: index)
      }
    case .fetchEntries(let job, let library, let ids):
      open(job, link, at: index)
      send(link, to: peer) { [self] in
        try serveEntries(job, library, ids[...], isWhole: true, link, at: peer, for: index)
      }
    case .reconcile(let job, let set, let mine):
      open(job, link, at: index)
      send(link, to: peer) { [self] in try compare(job, set, mine, link, at: peer, for: index) }
    case .challenge(let job, let challenge):
      open(job, link, at: index)
      send(link, to: peer) { [self] in try answer(challenge, job, link, at: peer, for: index) }
    case .fetch(let orders):
      for order in orders { machines[index].links[link]?.units[order.unit] = order }
      if let network {
        send(link, to: peer) { try network.fetch(orders, link, at: peer, for: index) }
        return
      }
      for order in orders {
        send(link, to: peer) { [self] in try serve(order, link, at: peer, for: index) }
      }
    case .pull(let job, let orders, let count, let bytes):
      open(job, link, at: index)
      if let network {
        send(link, to: peer) {
          try network.pull(job, orders, count: count, bytes: bytes, link, at: peer, for: index)
        }
        return
      }
      send(link, to: peer) { [self] in
        try servePull(job, orders, count: count, link, at: peer, for: index)
      }
    case .cancelFetch(let units):
      if let network { send(link, to: peer) { network.cancel(units, link, for: index) } }
      for unit in units where machines[index].links[link]?.units.removeValue(forKey: unit) != nil {
        later(within: 1) { [self] in try handle(.unitEnded(link, unit, .cancelled), at: index) }
      }
    case .close:
      // The frame that says so comes after what was sent, and the other side ends when it reads it.
      send(link, to: peer) { [self] in try end(link, at: peer) }
      later(within: 1) { [self] in try end(link, at: index) }
    }
  }

  private func open(_ job: LinkJob, _ link: LinkID, at index: Int) {
    machines[index].links[link]?.jobs.insert(job)
  }

  func finish(_ job: LinkJob, _ outcome: LinkOutcome, _ link: LinkID, for index: Int) {
    if canary == .endsNoRequest, random.oneIn(6) { return }
    send(link, to: index) { [self] in
      guard machines[index].links[link]?.jobs.remove(job) != nil else { return }
      try handle(.jobEnded(link, job, outcome), at: index)
    }
  }

  /// Whether a job ends here with something else than what was asked for.
  private func refuses(_ job: LinkJob, _ outcomes: [LinkOutcome], _ link: LinkID, for index: Int) -> Bool {
    guard let faults, random.oneIn(faults.refusal), let outcome = random.element(of: outcomes) else {
      return false
    }
    finish(job, outcome, link, for: index)
    return true
  }

  // MARK: Challenges

  private func answer(
    _ challenge: Challenge, _ job: LinkJob, _ link: LinkID, at server: Int, for index: Int
  ) throws {
    if refuses(job, [.busy, .failed, .cancelled], link, for: index) { return }
    let machine = machines[server]
    // What a file that has rotted has instead is another payload.
    guard let payload = machine.payload(of: challenge.content) ?? machine.rotten(challenge.content) else {
      return finish(job, machine.replica.isMounted ? .notHeld : .failed, link, for: index)
    }
    let answer = challenge.answer(payload)
    send(link, to: index) { [self] in
      guard machines[index].links[link]?.jobs.contains(job) == true else { return }
      try handle(.challengeAnswered(link, job, answer), at: index)
    }
    finish(job, .complete, link, for: index)
  }

  // MARK: Libraries

  private func serveDelta(
    _ job: LinkJob, _ library: MachineID, from older: HeadOrder, to newer: HeadOrder, cursor: Int64,
    _ link: LinkID, at server: Int, for index: Int
  ) throws {
    if refuses(job, [.busy, .failed, .unknownHead, .cancelled], link, for: index) { return }
    guard
      let page = try machines[server].catalog.delta(
        library, from: older, to: newer, cursor: cursor, maximumBytes: 600)
    else { return finish(job, .unknownHead, link, for: index) }
    let added = try page.added.map { try Entry(canonicalBytes: $0) }
    send(link, to: index) { [self] in
      guard machines[index].links[link]?.jobs.contains(job) == true else { return }
      try handle(.entriesReceived(link, job, added: added, removed: page.removed), at: index)
    }
    guard let next = page.next else { return finish(job, .complete, link, for: index) }
    later(within: 3) { [self] in
      try serveDelta(job, library, from: older, to: newer, cursor: next, link, at: server, for: index)
    }
  }

  private func serveEntries(
    _ job: LinkJob, _ library: MachineID, _ ids: ArraySlice<EntryID>, isWhole: Bool, _ link: LinkID,
    at server: Int, for index: Int
  ) throws {
    if refuses(job, [.busy, .failed, .notHeld, .cancelled], link, for: index) { return }
    let asked = Array(ids.prefix(3))
    let entries = try machines[server].catalog.entryBytes(library, asked).map {
      try Entry(canonicalBytes: $0)
    }
    send(link, to: index) { [self] in
      guard machines[index].links[link]?.jobs.contains(job) == true else { return }
      try handle(.entriesReceived(link, job, added: entries, removed: []), at: index)
    }
    let isWhole = isWhole && entries.count == asked.count
    let rest = ids.dropFirst(asked.count)
    guard !rest.isEmpty else { return finish(job, isWhole ? .complete : .notHeld, link, for: index) }
    later(within: 3) { [self] in
      try serveEntries(job, library, rest, isWhole: isWhole, link, at: server, for: index)
    }
  }

  // MARK: Comparing

  private func compare(
    _ job: LinkJob, _ set: ComparedSet, _ mine: SetSnapshot, _ link: LinkID, at server: Int, for index: Int
  ) throws {
    if refuses(job, [.busy, .failed, .cancelled], link, for: index) { return }
    if machines[server].ask({ $0.guests[link] != nil }) { return finish(job, .busy, link, for: index) }
    guard let theirs = machines[server].ask({ $0.snapshot(of: set, for: link) }) else {
      return finish(job, .unknownHead, link, for: index)
    }
    var pieces: [(theirs: [Digest256], mine: [Digest256])] = []
    func add(_ id: Digest256, isTheirs: Bool) {
      if pieces.isEmpty || random.oneIn(4) { pieces.append(([], [])) }
      if isTheirs {
        pieces[pieces.count - 1].theirs.append(id)
      } else {
        pieces[pieces.count - 1].mine.append(id)
      }
    }
    theirs.forEach(from: .zero) {
      if !mine.contains($0) { add($0, isTheirs: true) }
      return true
    }
    mine.forEach(from: .zero) {
      if !theirs.contains($0) { add($0, isTheirs: false) }
      return true
    }
    try tellDifference(pieces[...], job, set, link, at: server, for: index)
  }

  /// Piece by piece: each side learns its part in its own time.
  private func tellDifference(
    _ pieces: ArraySlice<(theirs: [Digest256], mine: [Digest256])>, _ job: LinkJob, _ set: ComparedSet,
    _ link: LinkID, at server: Int, for index: Int
  ) throws {
    guard !dead.contains(link), machines[server].links[link] != nil else { return }
    if refuses(job, [.failed, .cancelled], link, for: index) { return }
    guard let piece = pieces.first else {
      if set == .holdings { try handle(.holdingsCompared(link), at: server) }
      return finish(job, .complete, link, for: index)
    }
    if set == .holdings {
      try handle(.differenceFound(link, nil, theirsOnly: piece.mine, mineOnly: piece.theirs), at: server)
    }
    send(link, to: index) { [self] in
      guard machines[index].links[link]?.jobs.contains(job) == true else { return }
      try handle(.differenceFound(link, job, theirsOnly: piece.theirs, mineOnly: piece.mine), at: index)
    }
    later(within: 3) { [self] in
      try tellDifference(pieces.dropFirst(), job, set, link, at: server, for: index)
    }
  }

  // MARK: Units

  /// Chooses unit by unit, each when the one before is on its way.
  private func servePull(
    _ job: LinkJob, _ orders: [UnitOrder], count: Int, _ link: LinkID, at server: Int, for index: Int
  ) throws {
    guard !dead.contains(link), machines[server].links[link] != nil else { return }
    if refuses(job, [.busy, .failed, .cancelled, .unsupported], link, for: index) { return }
    let chosen = machines[server].ask {
      $0.choose(orders.map(\.unit), count: min(count, 1), for: link)
    }.first
    guard let chosen, let order = orders.first(where: { $0.unit == chosen }) else {
      return finish(job, .complete, link, for: index)
    }
    send(link, to: index) { [self] in
      // A unit that is on its way over this link already is not told, and comes once.
      guard let end = machines[index].links[link], end.jobs.contains(job), end.units[chosen] == nil else {
        return
      }
      try handle(.unitChosen(link, job, chosen), at: index)
      try serve(order, link, at: server, for: index)
    }
    later(within: 5) { [self] in
      try servePull(
        job, orders.filter { $0.unit != chosen }, count: count - 1, link, at: server, for: index)
    }
  }

  private func serve(_ order: UnitOrder, _ link: LinkID, at server: Int, for index: Int) throws {
    guard machines[index].links[link]?.units[order.unit] != nil else { return }
    var outcome = LinkOutcome.complete
    if let faults, random.oneIn(faults.refusal) {
      outcome = random.element(of: [.busy, .failed, .changed, .notHeld, .cancelled]) ?? .failed
    }
    let sound = machines[server].payload(of: order.unit)
    guard outcome == .complete,
      let payload = sound ?? machines[server].rottenPayload(of: order.unit.content),
      payload.layout.range(of: order.unit.part) != nil
    else {
      if outcome == .complete { try noteUnserved(order.unit.content, at: server) }
      return send(link, to: index) { [self] in
        guard machines[index].links[link]?.units.removeValue(forKey: order.unit) != nil else { return }
        try handle(
          .unitEnded(link, order.unit, outcome == .complete ? .notHeld : outcome), at: index)
      }
    }
    let isCorrupt = (faults.map { random.oneIn($0.corruptUnit) } ?? false) || sound == nil
    send(link, to: index) { [self] in
      guard machines[index].links[link]?.units.removeValue(forKey: order.unit) != nil else { return }
      machines[index].received.append(order.unit.content)
      // From here on it is the disk's: it reports even when the link has gone since.
      work(at: index) { [self] in try store(order, payload, isCorrupt: isCorrupt, link, at: index) }
    }
  }

  /// A file of the machine's folder should have had it: as the agent does, before it refuses.
  private func noteUnserved(_ content: ContentID, at server: Int) throws {
    guard try !machines[server].catalog.ownFiles(of: content).isEmpty else { return }
    try handle(.couldNotServe([content]), at: server)
  }

  /// The last bytes of a unit came over a link with a rate.
  func arrived(_ order: UnitOrder, _ link: LinkID, at index: Int, from server: Int) {
    guard let payload = machines[server].payload(of: order.unit),
      machines[index].links[link]?.units.removeValue(forKey: order.unit) != nil
    else { return }
    machines[index].received.append(order.unit.content)
    work(at: index) { [self] in try store(order, payload, isCorrupt: false, link, at: index) }
  }

  private func store(
    _ order: UnitOrder, _ payload: Payload, isCorrupt: Bool, _ link: LinkID, at index: Int
  ) throws {
    let unit = order.unit
    // The bytes that came are kept as they are.
    let isTrusted = isCorrupt && canary == .trustsUnits && unit.part == .whole
    let payload = isTrusted ? Payload(payload.bytes + [0], size: payload.size) : payload
    let isCorrupt = isCorrupt && !isTrusted
    if !machines[index].replica.isMounted {
      return try handle(.stagingFailed(unit, .other), at: index)
    }
    if let faults, random.oneIn(faults.staging) {
      return try handle(.stagingFailed(unit, random.oneIn(3) ? .noSpace : .other), at: index)
    }
    switch unit.part {
    case .whole where !isCorrupt:
      guard unit.content.digest == order.hash else {
        throw SimulationError.broken("an order of another hash")
      }
      machines[index].replica.discardDoomed(unit.content)
      machines[index].replica.staged[unit.content] = StagedFile(payload: payload, blocks: nil)
    case .block(let block) where !isCorrupt:
      guard payload.manifest?.blocks[Int(block)] == order.hash else {
        throw SimulationError.broken("a block of another hash")
      }
      machines[index].replica.stageBlock(block, of: payload)
    case .manifest where !isCorrupt:
      guard let manifest = payload.manifest, payload.manifestHash == order.hash else {
        throw SimulationError.broken("a manifest of another hash")
      }
      return later(within: 3) { [self] in
        try report(.manifestVerified(link, unit.content, manifest), at: index, life: machines[index].life)
      }
    default: return try handle(.unitCorrupt(link, unit), at: index)
    }
    let life = machines[index].life
    machines[index].verifiedUnits[link, default: []].append(unit)
    later(within: 3) { [self] in
      guard machines[index].life == life,
        let units = machines[index].verifiedUnits.removeValue(forKey: link)
      else { return }
      try handle(.unitsVerified(link, units), at: index)
    }
  }
}

extension Challenge {
  /// Of the payload's bytes in the range, as far as they differ from another's.
  func answer(_ payload: Payload) -> Digest256 {
    SummaryHash.sha256(nonce + payload.content.digest.bytes + Array("\(offset)".utf8))
  }
}
