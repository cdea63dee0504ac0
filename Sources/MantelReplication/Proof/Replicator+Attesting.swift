import MantelCore
import MantelHousehold
import MantelSummary

/// What this machine and the others say they hold.
struct Attesting: Sendable {
  /// The newest attestation of each machine, this one included.
  var newest: [MachineID: Signed<Attestation>] = [:]
  /// When each of them was received.
  var received: [MachineID: AgentTime] = [:]
  /// Machines that attested anything of the own library, ever.
  var onceFull: Set<MachineID> = []
  /// What was found of the newest, by holder and library: one each.
  var verdicts: [MachineID: [MachineID: StatementVerdict]] = [:]
  /// When the first of those that count ceases to.
  var expiry: AgentTime?
  var lastSigned: Instant?
  var lastWasComplete = false
  /// Something happened since the last one that may change it.
  var isChanged = true
  /// A claim has become false: that is told sooner than what is new.
  var isRetracting = false
  /// Contents were found not to be here since the last one.
  var hasLost = false
  /// A peer connected while the last one was not said again.
  var isWithheld = false
  var due: Instant?

  mutating func retract() {
    isChanged = true
    isRetracting = true
  }
}

/// Whether a statement on a library has the root that follows from it, as of the head that was installed then.
struct StatementVerdict: Sendable {
  /// The attestation's.
  var number: UInt64
  var installed: Head?
  var isProven: Bool
}

extension Replicator {
  mutating func loadAttestations() throws(StoreError) {
    for stored in try store.attestations() {
      let holder = stored.attestation.record.holder
      attesting.newest[holder] = stored.attestation
      attesting.received[holder] = stored.received
    }
    let once = try store.value(.onceFull) ?? []
    attesting.onceFull = Set(
      stride(from: 0, to: once.count - once.count % 32, by: 32).compactMap {
        MachineID(once[$0..<$0 + 32])
      })
    try recountSafe()
  }

  // MARK: Others'

  mutating func received(
    _ attestation: Signed<Attestation>, from link: LinkID, now: Now
  ) throws(StoreError) {
    let holder = attestation.record.holder
    guard guests[link] == nil, roster.isMember(holder), roster.verify(attestation) else { return }
    // News or not: who says its own word sees what it speaks of.
    if links[link]?.machine == holder { links[link]?.hasSpoken = true }
    guard
      attestation.record.number > attesting.newest[holder]?.record.number ?? 0
        || isSaidAgain(attestation, over: link)
    else { return }
    try store.putAttestation(attestation, received: agentTime)
    attesting.newest[holder] = attestation
    attesting.received[holder] = agentTime
    // Of a time that this machine's catalog has forgotten: what is true now is said under a higher number.
    if holder == machine { return attesting.retract() }
    try absolve(attestation.record)
    try noteFull(attestation.record)
    absences.isChanged = true
    try recountSafe()
    sendToAll(except: link, .announceAttestation(attestation))
  }

  /// Only full machines speak of others' libraries.
  private mutating func noteFull(_ attestation: Attestation) throws(StoreError) {
    guard attestation.libraries.contains(where: { $0.library == machine }),
      attesting.onceFull.insert(attestation.holder).inserted
    else { return }
    try store.setValue(.onceFull, attesting.onceFull.sorted().flatMap(\.bytes))
  }

  /// Own contents that some other machine's current attestation proves to be held; counted anew, because a newer
  /// statement may also take something back.
  mutating func recountSafe() throws(StoreError) {
    attesting.expiry =
      attesting.received.filter { $0.key != machine && isCurrent($0.key) }.values.min()
      .map { $0 + settings.attestationLife }
    contents.index.removeAll(from: contents.safe)
    let wanted = contents.index.snapshot(of: contents.sets(of: machine).wanted)
    for (holder, signed) in attesting.newest where holder != machine {
      let attestation = signed.record
      guard roster.isMember(holder), isCurrent(holder),
        let mine = attestation.libraries.first(where: { $0.library == machine }), mine.listsMissing,
        let changes = try store.wantedChanges(machine, since: mine.order)
      else { continue }
      // What was wanted at the head that the statement speaks of, without what it names as missing.
      let proven = wanted.applying(
        added: changes.went.map(\.digest), removed: (changes.came + mine.missing).map(\.digest))
      // The root must be the one that follows from what the statement itself says.
      guard proven.root == mine.heldRoot else { continue }
      var ids: [Digest256] = []
      ids.reserveCapacity(proven.count)
      proven.forEach(from: .zero) {
        ids.append($0)
        return true
      }
      contents.index.insert(sorted: ids, into: contents.safe)
    }
  }

  /// The holder itself stands by what has come of age here: it has had no other to sign meanwhile.
  private func isSaidAgain(_ attestation: Signed<Attestation>, over link: LinkID) -> Bool {
    let holder = attestation.record.holder
    return links[link]?.machine == holder && hasExpired(holder) && attestation == attesting.newest[holder]
  }

  func hasExpired(_ holder: MachineID) -> Bool {
    guard holder != machine, let received = attesting.received[holder] else { return false }
    return agentTime - received >= settings.attestationLife
  }

  /// By when it was received here, and unless the holder could not show what it claims; not by its holder's clock, which may be years off. The own one always counts.
  func isCurrent(_ holder: MachineID) -> Bool {
    guard holder != machine else { return true }
    guard challenging.isBelieved(holder) else { return false }
    return attesting.received[holder] != nil && !hasExpired(holder)
  }

  /// What an attestation proved is proved no longer once it has come of age.
  mutating func recountIfExpired() throws(StoreError) {
    if let expiry = attesting.expiry, expiry <= agentTime { try recountSafe() }
  }

  /// Whether a machine proves to hold all that it owes of a library at the installed head.
  mutating func proves(_ holder: MachineID, holds owner: MachineID) -> Bool {
    guard let attestation = attesting.newest[holder]?.record, isCurrent(holder),
      let statement = attestation.libraries.first(where: { $0.library == owner }),
      statement.missingCount == 0, let library = libraries[owner], statement.order == library.order
    else { return false }
    let sets = contents.sets(of: owner)
    return statement.heldRoot == contents.index.root(of: holder == owner ? sets.live : sets.wanted)
  }

  // MARK: The own one

  mutating func attestIfDue(now: Now) throws(StoreError) {
    guard attesting.isChanged || attesting.due != nil else { return }
    // What cannot be seen is not attested anew: the last word on it stands until its time is over.
    guard !scrub.sight.isAway || attesting.isRetracting else {
      attesting.due = nil
      return
    }
    // An older state might name what has gone: until then the last word stands. A source owes none of it.
    guard role == .source || scrub.sight.isJudged(at: now.instant) else {
      attesting.due = scrub.sight.judgeBy
      return try retractLost(now: now)
    }
    let isComplete = holdsAll
    let wait: Duration
    if let last = attesting.lastSigned {
      let becameComplete = isComplete && !attesting.lastWasComplete
      let gap: Duration =
        isComplete || attesting.isRetracting
        ? settings.attestWhenComplete
        : attesting.lastWasComplete ? settings.attestWhenComplete : settings.attestWhileIncomplete
      wait =
        attesting.isChanged || becameComplete
        ? gap - (now.instant - last) : settings.attestRenewal - (now.instant - last)
    } else {
      wait = .zero
    }
    guard wait <= .zero else {
      attesting.due = now.instant + wait
      return
    }
    try attest(isComplete: isComplete, now: now)
  }

  /// Nothing that this machine owes is missing, at the heads it has installed.
  var holdsAll: Bool {
    contents.byLibrary.allSatisfy { owner, sets in
      owner == machine
        ? !isAnythingAway && contents.index.count(of: sets.heldLive) == contents.index.count(of: sets.live)
        : role == .source
          || contents.index.count(of: sets.heldWanted) == contents.index.count(of: sets.wanted)
            && !hasUncopied(of: owner)
    }
  }

  private mutating func attest(isComplete: Bool, now: Now) throws(StoreError) {
    attesting.isChanged = false
    attesting.isRetracting = false
    attesting.hasLost = false
    attesting.due = now.instant + settings.attestRenewal
    var statements: [LibraryAttestation] = []
    for owner in libraries.keys.sorted() {
      guard let library = libraries[owner], library.installed != nil, roster.isListed(owner) else { continue }
      let sets = contents.sets(of: owner)
      let isOwn = owner == machine
      // Nothing is said of what cannot be seen now.
      guard isOwn ? !isAnythingAway : role == .full && !scrub.sight.isAway else { continue }
      let uncopied = uncopied(in: owner)
      let missing = try missing(of: owner, uncopied)
      let held = isOwn ? sets.heldLive : sets.heldWanted
      statements.append(
        LibraryAttestation(
          library: owner, order: library.order,
          heldRoot: uncopied.isEmpty
            ? contents.index.root(of: held)
            : contents.index.snapshot(of: held).applying(added: [], removed: uncopied.map(\.digest)).root,
          missingCount: UInt64(missing.count), missingBytes: missing.bytes,
          missing: missing.contents))
    }
    let last = attesting.newest[machine]?.record
    let oldestReread = try store.oldestVerification() ?? now.wall
    let isReread =
      oldestReread.nanoseconds - (last?.oldestReread.nanoseconds ?? 0) >= settings.attestRenewal.inNanoseconds
    guard statements != last?.libraries || isReread || isRenewalDue(now: now) else {
      // The last one still says it; the next change is judged from here on.
      attesting.lastSigned = attesting.lastSigned ?? now.instant
      attesting.lastWasComplete = isComplete
      if attesting.isWithheld, !isOwnWordStale, let signed = attesting.newest[machine] {
        attesting.isWithheld = false
        sendToAll(.announceAttestation(signed))
      }
      return
    }
    guard let number = number(after: last?.number ?? 0, now: now) else { return }
    let attestation = Attestation(
      holder: machine, number: number, time: now.wall, filesystem: filesystem,
      oldestReread: oldestReread, libraries: statements)
    guard let signed = sign(attestation) else { return }
    attesting.lastWasComplete = isComplete
    try keep(signed, now: now)
  }

  /// The own word from now on.
  mutating func keep(_ signed: Signed<Attestation>, now: Now) throws(StoreError) {
    try store.putAttestation(signed, received: agentTime)
    attesting.newest[machine] = signed
    attesting.received[machine] = agentTime
    attesting.lastSigned = now.instant
    attesting.isWithheld = false
    sendToAll(.announceAttestation(signed))
  }

  /// By the clock, in microseconds since 1970. A catalog of before does not know which numbers it has given since, and of two
  /// attestations with one number either would stay where it came first. Where the clock stands still, or went back since, the
  /// number is higher than the last by up to 65,536, as the clock's low bits say: hardly the same twice. Nil only after
  /// the last number there is.
  func number(after last: UInt64, now: Now) -> UInt64? {
    guard last < .max else { return nil }
    let clock = UInt64(clamping: now.wall.nanoseconds / 1_000)
    if clock > last { return clock }
    let (next, isOver) = last.addingReportingOverflow(1 + clock & 0xFFFF)
    return isOver ? last + 1 : next
  }

  private func isRenewalDue(now: Now) -> Bool {
    guard let last = attesting.newest[machine]?.record else { return true }
    return abs(now.wall.nanoseconds - last.time.nanoseconds)
      >= settings.attestRenewal.inNanoseconds
  }

  /// What this machine lacks of a library, `uncopied` among it; of more ids than fit an attestation, those that nobody seems to
  /// have.
  private func missing(
    of owner: MachineID, _ uncopied: [ContentID]
  ) throws(StoreError) -> (count: Int, bytes: UInt64, contents: [ContentID]) {
    guard let sets = contents.byLibrary[owner] else { return (0, 0, []) }
    let wanted = owner == machine ? sets.live : sets.wanted
    let held = owner == machine ? sets.heldLive : sets.heldWanted
    let count = contents.index.count(of: wanted) - contents.index.count(of: held) + uncopied.count
    guard count > 0 else { return (0, 0, []) }
    guard count <= Limits.attestedMissing else {
      let ids = owner == machine ? [] : missingEverywhere(wanted)
      return (count, try store.missing(in: owner, limit: 0).bytes, ids)
    }
    var ids = uncopied
    contents.index.forEach(in: [wanted], notIn: [contents.held], from: .zero) {
      ids.append(ContentID($0))
      return ids.count < Limits.attestedMissing
    }
    ids.sort()
    var bytes: UInt64 = 0
    for content in ids {
      bytes += try store.entries(owner, of: content).first?.entry.size ?? 0
    }
    return (count, bytes, ids)
  }

  /// What no connected machine has either: by these words its owner gives up what is nowhere. What is on its way needs no name.
  private func missingEverywhere(_ wanted: SetHandle) -> [ContentID] {
    // Of one that has not shown all yet, or has not said its word, nobody knows what it has.
    guard links.values.allSatisfy(\.tellsAbsences) else { return [] }
    var ids: [ContentID] = []
    let somewhere = [contents.held] + links.values.map(\.contents)
    contents.index.forEach(in: [wanted], notIn: somewhere, from: .zero) {
      ids.append(ContentID($0))
      return ids.count < Limits.attestedMissing
    }
    return ids.sorted()
  }
}
