import MantelCore
import MantelHousehold
import MantelSummary

/// What is known to be lost is said at once, also while nothing is attested anew (`ReplicaSight`).
extension Replicator {
  /// A copy was found bad, or gone. Of more than an attestation can name one too many is enough to know.
  mutating func noteLost(_ content: ContentID) {
    guard !contents.isHeld(content), attesting.lost.count <= Limits.attestedMissing else { return }
    attesting.lost.insert(content)
  }

  /// Says the last word again without what was lost since, and with nothing else: that claims less in any case. Not by a catalog
  /// that may be an old one: the word that it has forgotten may claim less than its last.
  mutating func retractLost(now: Now) throws(StoreError) {
    guard !attesting.lost.isEmpty, role == .full, scrub.sight.isCatalogProven,
      let last = attesting.newest[machine]?.record
    else { return }
    let rest = attesting.lastSigned.map { settings.attestWhenComplete - (now.instant - $0) } ?? .zero
    guard rest <= .zero else {
      attesting.due = min(scrub.sight.judgeBy, now.instant + rest)
      return
    }
    let lost = attesting.lost.filter { !contents.isHeld($0) }.sorted()
    attesting.lost.removeAll()
    var attestation = last
    for index in last.libraries.indices where last.libraries[index].library != machine {
      attestation.libraries[index] = try without(lost, last.libraries[index])
    }
    guard attestation.libraries != last.libraries, let number = number(after: last.number, now: now) else {
      return
    }
    attestation.number = number
    attestation.time = now.wall
    guard let signed = sign(attestation) else { return }
    try keep(signed, now: now)
  }

  private mutating func without(
    _ lost: [ContentID], _ statement: LibraryAttestation
  ) throws(StoreError) -> LibraryAttestation {
    let owner = statement.library
    guard statement.listsMissing, let sets = contents.byLibrary[owner],
      let changes = try store.wantedChanges(owner, since: statement.order)
    else { return statement }
    var claimsLess = statement
    for content in lost where !statement.missing.contains(content) {
      guard try store.wasWanted(content, in: owner, at: statement.order) == true else { continue }
      claimsLess.missing.append(content)
      claimsLess.missingBytes += try store.entries(owner, of: content).first?.entry.size ?? 0
    }
    guard claimsLess.missing.count > statement.missing.count else { return statement }
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
}
