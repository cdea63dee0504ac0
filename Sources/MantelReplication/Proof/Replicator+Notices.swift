import MantelCore
import MantelHousehold
import MantelSummary

/// What `status` says of other machines that behave as no sound one does, and of what they ask of this one.
extension Replicator {
  /// Also of a removed machine, as long as that head counts: its library stays wanted, and nothing is complete without. A head
  /// that counts no more is not waited for (`judgeNewest`).
  var growthReasons: [StatusReason] {
    heldGrowth().sorted { $0.key < $1.key }.map {
      .heldGrowth($0.key, entries: Int(clamping: $0.value), isFirst: libraries[$0.key]?.installed == nil)
    }
  }

  /// Who was removed is dealt with.
  var forkReasons: [StatusReason] {
    forked.filter(roster.isMember).sorted().map { .forked($0) }
  }

  /// Those that are fetched again, and those that nobody is known to have.
  func badFileReasons(now: Now) throws(StoreError) -> [StatusReason] {
    let bad = try store.badFileCounts(healedSince: now.wall).unhealed
    guard bad > 0 else { return [] }
    var judged: [ContentID: Bool] = [:]
    var unhealable = 0
    for (_, file) in try store.openBadFiles(after: nil, limit: settings.sizeSample) where file.healed == nil {
      if judged[file.content] == nil { judged[file.content] = try mayBeHealed(file.content) }
      if judged[file.content] == false { unhealable += 1 }
    }
    var reasons: [StatusReason] = []
    if bad > unhealable { reasons.append(.badFiles(files: bad - unhealable)) }
    if unhealable > 0 { reasons.append(.unhealable(files: unhealable)) }
    return reasons
  }

  /// Whether the bytes are here, or some other member may have them. What nobody names any more is nobody's loss.
  private func mayBeHealed(_ content: ContentID) throws(StoreError) -> Bool {
    if contents.isHeld(content) || contents.isAvailable(content) { return true }
    if !connectedHolders(of: content).isEmpty { return true }
    let libraries = Set(try store.entries(of: content).map(\.library))
    return libraries.isEmpty
      || libraries.contains { library in others.contains { mayHave(content, of: library, at: $0) } }
  }

  /// Unless its newest statement, however old, names the content as missing: an owner has what is live of its library in its
  /// folders; whoever keeps copies may have one, whether it came after the statement, or nothing is said of the library (the
  /// disk there may be unplugged).
  private func mayHave(_ content: ContentID, of library: MachineID, at member: MachineID) -> Bool {
    let statement = attesting.newest[member]?.record.libraries.first { $0.library == library }
    if let statement, statement.listsMissing, statement.missing.contains(content) { return false }
    if member == library { return contents.isLive(content, in: library) }
    return statement != nil || otherFullMachines.contains(member)
  }

  /// What is live in the own library is owed as well, and may lie where nothing proves that it is durable (NFS). A content that is
  /// only not held until its file was hashed again has another reason, which goes: two that come and go together tell no more.
  func notOnDisk(besides reasons: [StatusReason]) -> StatusReason? {
    guard let sets = contents.byLibrary[machine], !reasons.contains(where: \.tellsOfUnheld) else {
      return nil
    }
    let files = contents.index.count(of: sets.live) - contents.index.count(of: sets.heldLive)
    return files > 0 ? .notOnDisk(files: files) : nil
  }

  /// What is still to come from others, so not of the own library (`notOnDisk`). `large`: libraries of which more is missing than a
  /// third of the free space.
  mutating func missingHere(
    now: Now
  ) throws(StoreError) -> (files: Int, bytes: UInt64, large: [StatusReason]) {
    var files = 0
    var bytes: UInt64 = 0
    var byLibrary: [MachineID: UInt64] = [:]
    for (owner, sets) in contents.byLibrary where owner != machine && role == .full {
      let count =
        contents.index.count(of: sets.wanted) - contents.index.count(of: sets.heldWanted)
      guard count > 0 else { continue }
      files += count
      if count > settings.sizeSample,
        let estimate = sizes.missingBytes(of: owner, files: count, now: now.instant)
      {
        bytes += estimate
        byLibrary[owner] = estimate
        continue
      }
      let sum = try store.missing(in: owner, limit: 0).bytes
      sizes.summed(sum, of: owner, files: count, now: now.instant)
      bytes += sum
      byLibrary[owner] = sum
    }
    // Held by an own file alone: the copy is owed all the same.
    var sampled: UInt64 = 0
    let uncopied =
      role == .source
      ? [] : filing.uncopied.filter { contents.isHeld($0) && contents.isWantedByOther(than: machine, $0) }
    for content in uncopied.prefix(settings.exactSizes) {
      sampled += try store.missingContent(content)?.size ?? 0
    }
    let counted = UInt64(min(uncopied.count, settings.exactSizes))
    files += uncopied.count
    if counted > 0 { bytes += sampled / counted * UInt64(uncopied.count) }
    let large = byLibrary.sorted { $0.key < $1.key }.filter { isLargeShare($0.value) }
    return (files, bytes, large.map { .largeShare($0.key, bytes: $0.value) })
  }

  /// False while nothing is known of the disk.
  private func isLargeShare(_ bytes: UInt64) -> Bool {
    room.map { bytes > $0.replica.free / settings.spaceShare } ?? false
  }
}
