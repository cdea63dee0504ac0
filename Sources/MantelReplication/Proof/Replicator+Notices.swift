import MantelCore
import MantelHousehold
import MantelSummary

/// What `status` says of other machines that behave as no sound one does, and of what they ask of this one.
extension Replicator {
  var growthReasons: [StatusReason] {
    heldGrowth().sorted { $0.key < $1.key }.map { .heldGrowth($0.key, entries: Int(clamping: $0.value)) }
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

  /// Whether the bytes are here, or some other member may have them: it can serve them now, has attested them however long ago,
  /// lacks too much to name it, or has the photo in its own folders. What nobody names any more is nobody's loss.
  private func mayBeHealed(_ content: ContentID) throws(StoreError) -> Bool {
    if contents.isHeld(content) || contents.isAvailable(content) { return true }
    if !connectedHolders(of: content).isEmpty { return true }
    let libraries = Set(try store.entries(of: content).map(\.library))
    for library in libraries {
      if try !lastKnownHolders(of: content, in: library).isEmpty { return true }
      for member in roster.members where member.machine != machine {
        let statements = attesting.newest[member.machine]?.record.libraries
        let statement = statements?.first { $0.library == library }
        if let statement {
          if !statement.listsMissing { return true }
        } else if member.machine == library, contents.isLive(content, in: library) {
          return true
        }
      }
    }
    return libraries.isEmpty
  }

  /// `large`: libraries of which more is missing than a third of the free space.
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
