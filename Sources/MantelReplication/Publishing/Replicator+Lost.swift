import MantelCore
import MantelHousehold
import MantelSummary

/// Contents of the libraries that this machine signs for, the own one and those that it keeps, that no machine seems to have,
/// and those that were given up.
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
/// longer, and `status` says that it is lost. What is live lies in the owner's folder, and is never given up. So does the
/// keeper of a removed machine's library, whose folders are gone: there what is live is given up as well.
extension Replicator {
  mutating func loadAbsences() throws(StoreError) {
    absences.since = try store.absences()
    absences.lost = Set(try store.lostContents(limit: settings.lostContents))
    try lookForGivenUp()
  }

  /// Also what was unheld from the start, or whose finder's head was cut off; and what the library had given up in a time that
  /// this machine's catalog has forgotten.
  mutating func lookForGivenUp() throws(StoreError) {
    for owner in signedLibraries where libraries[owner]?.installed?.record.counts.unheld ?? 0 > 0 {
      absences.lost.formUnion(try store.unheldContents(owner, limit: settings.lostContents))
    }
    absences.isChanged = true
  }

  /// Entries whose bytes nobody seems to have: somebody may turn up with them all the same.
  mutating func noteUnheld(_ entries: some Collection<Entry>) {
    for entry in entries where entry.isUnheld && absences.lost.count < settings.lostContents {
      absences.lost.insert(entry.content)
    }
  }

  var absenceDeadline: Instant? {
    let first = firstAbsence.map { $0 + settings.absencePatience }
    return publication.isStopped ? nil : first.map { max(countedTime.counter.soonest($0), graceEnd) }
  }

  mutating func judgeAbsences(now: Now) throws(StoreError) {
    let moment = agentTime + (.zero - settings.absencePatience)
    guard !publication.isStopped,
      absences.isChanged || isPastGrace(now) && firstAbsence.map({ $0 <= moment }) == true
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
    let stopped = stoppedLibraries
    let due = absences.since.filter { $0.value <= moment && mayGiveUp($0.key, stopped: stopped) }
    try giveUp(due.keys.sorted(), now: now)
  }

  /// Since when the first of those is missing that may be given up. Every event asks.
  private var firstAbsence: AgentTime? {
    guard !absences.since.isEmpty else { return nil }
    let stopped = stoppedLibraries
    if stopped.isEmpty { return absences.since.values.min() }
    return absences.since.lazy.filter { mayGiveUp($0.key, stopped: stopped) }.map(\.value).min()
  }

  private var stoppedLibraries: [MachineID] { signedLibraries.filter { isPublishingStopped(of: $0) } }

  /// A head can say so, of each library that names it.
  private func mayGiveUp(_ content: ContentID, stopped: [MachineID]) -> Bool {
    !stopped.contains { contents.isWanted(content, in: $0) }
  }

  private mutating func giveUp(_ contents: [ContentID], now: Now) throws(StoreError) {
    guard !contents.isEmpty else { return }
    // Before the head: after a crash in between somebody is told too early, not too late.
    try store.putLost(contents)
    try store.setAbsences([:], ended: contents)
    for content in contents {
      absences.since[content] = nil
      absences.lost.insert(content)
      for owner in signedLibraries {
        for found in try store.entries(owner, of: content) where owner != machine || !found.entry.state.isLive
        {
          change(found, to: .unheld(at: now.wall), now: now)
        }
      }
    }
  }

  /// With the next head of its library.
  private mutating func change(_ found: InstalledEntry, to state: EntryState, now: Now) {
    if found.library == machine {
      absences.changing[found.id] = (found.entry, state)
      publication.changesDue = publication.changesDue ?? now.instant
    } else {
      kept[found.library, default: KeptLibrary()].pending.changing[found.id] = (found.entry, state)
    }
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
      for owner in signedLibraries {
        for former in try store.formerEntries(owner, of: content) where former.entry.isUnheld {
          change(former, to: .retired(.missing, at: now.wall), now: now)
        }
      }
    }
    try store.removeLost(found)
  }

  private func absentEverywhere() throws(StoreError) -> Set<ContentID> {
    var absent: Set<ContentID> = []
    for owner in signedLibraries {
      // Who keeps a library and is the last that takes copies has nobody else to ask.
      if owner != machine && otherFullMachines.isEmpty {
        absent.formUnion(try goneHere(of: owner))
        continue
      }
      for content in absentByWord(of: owner) where try isGone(content, in: owner) { absent.insert(content) }
    }
    return absent
  }

  /// Contents of a library that the newest statements of all other full machines name as missing.
  private func absentByWord(of owner: MachineID) -> Set<ContentID> {
    var common: Set<ContentID>?
    for member in otherFullMachines {
      guard let received = attesting.received[member], agentTime - received < settings.absenceMemory else {
        // One that is here and has said nothing yet may have all of it.
        if links.values.contains(where: { $0.machine == member }) { return [] }
        continue
      }
      // Of too many only some are named, and no others count.
      guard
        let statement = attesting.newest[member]?.record.libraries.first(where: { $0.library == owner })
      else { return [] }
      common = common?.intersection(statement.missing) ?? Set(statement.missing)
    }
    return common ?? []
  }

  /// All that is not here, as far as so much can be lost at once: a thousand a week would take years for a machine that was
  /// stolen in its first sync. What is here and only not held yet must not take the place of what is gone.
  private func goneHere(of owner: MachineID) throws(StoreError) -> Set<ContentID> {
    guard let sets = contents.byLibrary[owner] else { return [] }
    var gone: Set<ContentID> = []
    var last: Digest256?
    repeat {
      var page: [Digest256] = []
      contents.index.forEach(in: [sets.wanted], notIn: [contents.held], from: last ?? .zero) { id in
        if id != last { page.append(id) }
        return page.count < Limits.attestedMissing
      }
      for id in page where gone.count < settings.lostContents {
        let content = ContentID(id)
        if try isGone(content, in: owner) { gone.insert(content) }
      }
      last = page.last
    } while last != nil && gone.count < settings.lostContents
    return gone
  }

  /// Nor is it here.
  private func isGone(_ content: ContentID, in owner: MachineID) throws(StoreError) -> Bool {
    guard !contents.isAvailable(content), contents.isWanted(content, in: owner),
      !contents.isLive(content, in: machine),
      !links.values.contains(where: { contents.index.contains(content.digest, in: $0.contents) })
    else { return false }
    // In somebody else's folder, or in the replica. The folders of a removed machine are gone with it; those of one that has to
    // be invited again are not.
    let isElsewhere = try store.entries(of: content).contains {
      $0.library != machine && $0.entry.state.isLive && roster.removedMember($0.library) == nil
    }
    return try isElsewhere ? false : store.replicaFiles(of: content).isEmpty
  }

  func draftLost(_ update: inout OwnUpdate) throws(StoreError) {
    try draft(absences.changing, in: machine, &update)
  }

  func draft(
    _ changing: [EntryID: (entry: Entry, state: EntryState)], in owner: MachineID, _ update: inout OwnUpdate
  ) throws(StoreError) {
    for (id, change) in changing.sorted(by: { $0.key < $1.key }) {
      // Forgotten, or back at its place, since.
      guard try store.entries(owner, at: change.entry.key).contains(where: { $0.id == id }),
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
