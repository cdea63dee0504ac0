import MantelCore
import MantelHousehold
import MantelSummary

/// What is known to be lost is said at once, also while nothing is attested anew (`ReplicaSight`).
extension Replicator {
  /// A copy was found bad, or gone, and no other is here. Which those are the sets tell: kept one by one, those of one library
  /// could leave no room for another's.
  mutating func noteLost(_ content: ContentID) {
    if !contents.isHeld(content) { attesting.hasLost = true }
  }

  /// Says the last word again without what was lost since, and with nothing else: that claims less in any case. Not by a catalog
  /// that may be an old one: the word that it has forgotten may claim less than its last.
  mutating func retractLost(now: Now) throws(StoreError) {
    guard attesting.hasLost, role == .full, scrub.sight.isCatalogProven,
      let last = attesting.newest[machine]?.record
    else { return }
    let rest = attesting.lastSigned.map { settings.attestWhenComplete - (now.instant - $0) } ?? .zero
    guard rest <= .zero else {
      attesting.due = min(scrub.sight.judgeBy, now.instant + rest)
      return
    }
    attesting.hasLost = false
    var attestation = last
    attestation.libraries = []
    for statement in last.libraries {
      if statement.library != machine {
        attestation.libraries.append(try withoutLost(statement))
      } else if try isTrueStill(own: statement) {
        attestation.libraries.append(statement)
      }
    }
    guard attestation.libraries != last.libraries, let number = number(after: last.number, now: now) else {
      return
    }
    attestation.number = number
    attestation.time = now.wall
    guard let signed = sign(attestation) else { return }
    try keep(signed, now: now)
  }

  /// Nothing is said again of an own library of which something cannot be seen, or is lost: its peers would count that for the whole
  /// life of a word.
  private func isTrueStill(own statement: LibraryAttestation) throws(StoreError) -> Bool {
    guard !isAnythingAway, let sets = contents.byLibrary[machine],
      let changes = try store.wantedChanges(machine, since: statement.order)
    else { return false }
    return gone(from: statement, among: sets.live, came: changes.came).isEmpty
  }

  private mutating func withoutLost(
    _ statement: LibraryAttestation
  ) throws(StoreError) -> LibraryAttestation {
    let owner = statement.library
    guard statement.listsMissing, let sets = contents.byLibrary[owner],
      let changes = try store.wantedChanges(owner, since: statement.order)
    else { return statement }
    let named = Set(statement.missing)
    let unwanted = changes.went.filter { !contents.isHeld($0) && !named.contains($0) }
    let lost = unwanted + gone(from: statement, among: sets.wanted, came: changes.came)
    guard !lost.isEmpty else { return statement }
    var claimsLess = statement
    // Of more than an attestation can name one too many is enough to know.
    for content in lost.prefix(Limits.attestedMissing + 1) {
      claimsLess.missing.append(content)
      claimsLess.missingBytes += try store.entries(owner, of: content).first?.entry.size ?? 0
    }
    claimsLess.missing.sort()
    claimsLess.missingCount = UInt64(claimsLess.missing.count)
    // What was wanted at the head that the statement speaks of, without all of that.
    claimsLess.heldRoot =
      contents.index.snapshot(of: sets.wanted).applying(
        added: changes.went.map(\.digest), removed: (changes.came + claimsLess.missing).map(\.digest)
      ).root
    if claimsLess.missing.count > Limits.attestedMissing { claimsLess.missing = [] }
    return claimsLess
  }

  /// Contents of a set that a statement claims and that are not here; no more than one too many to be named. What came after the
  /// head that it speaks of it does not claim.
  private func gone(
    from statement: LibraryAttestation, among set: SetHandle, came: [ContentID]
  ) -> [ContentID] {
    let unclaimed = Set(came).union(statement.missing)
    var gone: [ContentID] = []
    contents.index.forEach(in: [set], notIn: [contents.held], from: .zero) {
      let content = ContentID($0)
      if !unclaimed.contains(content) { gone.append(content) }
      return gone.count <= Limits.attestedMissing
    }
    return gone
  }
}
