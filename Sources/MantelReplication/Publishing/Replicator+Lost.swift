import MantelCore
import MantelHousehold
import MantelSummary

/// Own contents that no machine seems to have, and those that were given up.
struct Absences: Sendable {
  /// Since when all full machines report them missing.
  var since: [ContentID: AgentTime] = [:]
  /// Unheld, given up or never copied anywhere, until a machine turns up with them.
  var lost: Set<ContentID> = []
  /// Somebody said something since the last look.
  var isChanged = true
  /// What becomes of entries with the next head: given up, or found again.
  var changing: [EntryID: (entry: Entry, state: EntryState)] = [:]
}

/// A deleted or replaced photo is wanted on all machines, and its bytes may be on none any more. When every full machine
/// that was seen in 30 agent days has reported it missing for 7, its owner marks it *unheld*: nobody looks for it any
/// longer, and `status` says that it is lost. What is live lies in the owner's folder, and is never given up.
extension Replicator {
  mutating func loadAbsences() throws(StoreError) {
    absences.since = try store.absences()
    absences.lost = Set(try store.lostContents(limit: settings.lostContents))
    try lookForGivenUp()
  }

  /// Also what was unheld from the start, or whose finder's head was cut off; and what the library had given up in a time that
  /// this machine's catalog has forgotten.
  mutating func lookForGivenUp() throws(StoreError) {
    guard libraries[machine]?.installed?.record.counts.unheld ?? 0 > 0 else { return }
    absences.lost.formUnion(try store.unheldContents(limit: settings.lostContents))
    absences.isChanged = true
  }

  /// Entries of the own library whose bytes nobody seems to have: somebody may turn up with them all the same.
  mutating func noteUnheld(_ entries: some Collection<Entry>) {
    for entry in entries where entry.isUnheld && absences.lost.count < settings.lostContents {
      absences.lost.insert(entry.content)
    }
  }

  var absenceDeadline: Instant? {
    let first = absences.since.values.min().map { $0 + settings.absencePatience }
    return publication.isStopped ? nil : first.map { max(countedTime.counter.soonest($0), graceEnd) }
  }

  mutating func judgeAbsences(now: Now) throws(StoreError) {
    let moment = agentTime + (.zero - settings.absencePatience)
    guard !publication.isStopped,
      absences.isChanged || isPastGrace(now) && absences.since.values.contains(where: { $0 <= moment })
    else { return }
    absences.isChanged = false
    try judgeFound(now: now)
    let reported = try absentEverywhere()
    let ended = absences.since.keys.filter { !reported.contains($0) }
    var new: [ContentID: AgentTime] = [:]
    for content in reported where absences.since[content] == nil { new[content] = agentTime }
    if !ended.isEmpty || !new.isEmpty { try store.setAbsences(new, ended: ended.sorted()) }
    for content in ended { absences.since[content] = nil }
    absences.since.merge(new) { first, _ in first }
    guard isPastGrace(now) else { return }
    try giveUp(absences.since.filter { $0.value <= moment }.keys.sorted(), now: now)
  }

  private mutating func giveUp(_ contents: [ContentID], now: Now) throws(StoreError) {
    guard !contents.isEmpty else { return }
    // Before the head: after a crash in between somebody is told too early, not too late.
    try store.putLost(contents)
    try store.setAbsences([:], ended: contents)
    for content in contents {
      absences.since[content] = nil
      absences.lost.insert(content)
      for found in try store.entries(machine, of: content) {
        absences.changing[found.id] = (found.entry, .unheld(at: now.wall))
      }
    }
    publication.changesDue = publication.changesDue ?? now.instant
  }

  /// What was given up and is somewhere after all is wanted again, or named by another entry already.
  mutating func judgeFound(now: Now) throws(StoreError) {
    let found = absences.lost.filter { content in
      contents.isAvailable(content)
        || links.values.contains { contents.index.contains(content.digest, in: $0.contents) }
    }.sorted()
    guard !found.isEmpty else { return }
    for content in found {
      absences.lost.remove(content)
      for former in try store.formerEntries(machine, of: content) where former.entry.isUnheld {
        absences.changing[former.id] = (former.entry, .retired(.missing, at: now.wall))
        publication.changesDue = publication.changesDue ?? now.instant
      }
    }
    try store.removeLost(found)
  }

  /// Contents that the newest statements of all full machines name as missing, and that are not here either.
  private func absentEverywhere() throws(StoreError) -> Set<ContentID> {
    var common: Set<ContentID>?
    for member in roster.members.map(\.machine) where member != machine {
      guard (records[member]?.record.role ?? .full) == .full else { continue }
      guard let received = attesting.received[member], agentTime - received < settings.absenceMemory else {
        // One that is here and has said nothing yet may have all of it.
        if links.values.contains(where: { $0.machine == member }) { return [] }
        continue
      }
      // Of too many only some are named, and no others count.
      guard
        let statement = attesting.newest[member]?.record.libraries.first(where: { $0.library == machine })
      else { return [] }
      common = common?.intersection(statement.missing) ?? Set(statement.missing)
    }
    var absent: Set<ContentID> = []
    for content in common ?? [] where try isGone(content) { absent.insert(content) }
    return absent
  }

  private func isGone(_ content: ContentID) throws(StoreError) -> Bool {
    guard !contents.isAvailable(content), contents.isWanted(content, in: machine),
      !contents.isLive(content, in: machine),
      !links.values.contains(where: { contents.index.contains(content.digest, in: $0.contents) })
    else { return false }
    // In somebody else's folder, or in the replica.
    let isElsewhere = try store.entries(of: content).contains {
      $0.library != machine && $0.entry.state.isLive
    }
    return try isElsewhere ? false : store.replicaFiles(of: content).isEmpty
  }

  func draftLost(_ update: inout OwnUpdate) throws(StoreError) {
    for (id, change) in absences.changing.sorted(by: { $0.key < $1.key }) {
      // Forgotten, or back at its place, since.
      guard try store.entries(machine, at: change.entry.key).contains(where: { $0.id == id }),
        update.removed[id] == nil
      else { continue }
      var entry = change.entry
      entry.state = change.state
      update.removed[id] = change.entry
      update.add(EntryID(of: entry), entry)
    }
  }
}

extension Entry {
  fileprivate var isUnheld: Bool {
    if case .unheld = state { true } else { false }
  }
}
