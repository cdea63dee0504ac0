package import MantelCore
import MantelHousehold
import MantelSummary

/// Contents that are fetched for somebody, not for a place in the replica. They travel like all others, are staged and
/// verified like all others, and are discarded when whoever recalled them lets go. A machine of role source recalls too.
extension Replicator {
  mutating func recall(_ id: RecallID, _ order: RecallOrder) {
    guard recalls.waiting.count < settings.recallsWaiting else {
      actions.append(.recalled(id, .busy))
      return
    }
    recalls.waiting.append((id, order))
  }

  /// Nobody needs the bytes of this recall any more; one that has ended is none.
  mutating func recallReleased(_ id: RecallID) throws(StoreError) {
    guard let (content, isUnused) = recalls.release(id), isUnused else { return }
    try closeRecall(content)
  }

  /// Begins what there is room for, asks, notices what has come, and gives up what will not; that makes room for more.
  mutating func fetchContentsAndRecalls(now: Now) throws(StoreError) {
    recalls.note(links.keys, now: now)
    var hasGivenUp = false
    repeat {
      admitRecalls(now: now)
      try fetchContents(now: now)
      hasGivenUp = try judgeRecalls(now: now)
    } while hasGivenUp
  }

  /// Returns whether any was given up.
  private mutating func judgeRecalls(now: Now) throws(StoreError) -> Bool {
    var hasGivenUp = false
    for content in recalls.asking {
      guard let recall = recalls.open[content] else { continue }
      if isHere(recall.order) {
        recalls.came(content)
        tell(content, .here)
        continue
      }
      if isMoving(content) {
        recalls.isMoving(content, blocks: transfers.large[content]?.has.count ?? 0, now: now)
      }
      guard let recall = recalls.open[content], let outcome = verdict(on: recall, now: now) else { continue }
      tell(content, outcome)
      try closeRecall(content)
      hasGivenUp = true
    }
    return hasGivenUp
  }

  private mutating func admitRecalls(now: Now) {
    while let next = recalls.waiting.first {
      let missing = next.order.content
      if let open = recalls.open[missing.content] {
        recalls.waiting.removeFirst()
        guard open.order.only == next.order.only, open.order.isAfresh == next.order.isAfresh else {
          actions.append(.recalled(next.id, .busy))
          continue
        }
        // Whatever had the bytes may have let them go since: a file of the user's that was forgotten, changed or taken away.
        if recalls.isHere(missing.content), !isHere(open.order) {
          if let obstacle = obstacle(to: missing) {
            actions.append(.recalled(next.id, obstacle))
            continue
          }
          recalls.askAgain(missing.content, now: now)
          beginAsking(for: missing.content)
        }
        recalls.join(next.id, missing.content)
        if recalls.isHere(missing.content) { tell(missing.content, .here) }
        continue
      }
      guard recalls.hasRoom(for: missing.size, settings) else { return }
      recalls.waiting.removeFirst()
      if !isHere(next.order), let obstacle = obstacle(to: missing) {
        actions.append(.recalled(next.id, obstacle))
        continue
      }
      recalls.begin(next.id, next.order, now: now)
      beginAsking(for: missing.content)
    }
  }

  private mutating func beginAsking(for content: ContentID) {
    unshare(content)
    transfers.isWorthLooking = true
  }

  /// Why the replica's filesystem cannot take the bytes; nil if they lie in the staging area already, or leave its reserve alone.
  private func obstacle(to missing: MissingContent) -> RecallOutcome? {
    guard !transfers.staged.contains(missing.content) else { return nil }
    if filing.isReadOnly { return .readOnly }
    guard let room = room?.replica else { return nil }
    return room.free > room.reserve && room.free - room.reserve >= missing.size ? nil : .noSpace
  }

  private mutating func tell(_ content: ContentID, _ outcome: RecallOutcome) {
    for id in recalls.takeUntold(content) { actions.append(.recalled(id, outcome)) }
  }

  private mutating func closeRecall(_ content: ContentID) throws(StoreError) {
    recalls.close(content)
    // It was not landed so long.
    if transfers.staged.contains(content) { filing.ready.insert(content) }
    // The end of a batch drops what it does not need itself.
    if filing.running?.contents.contains(content) != true { try dropIfUnwanted(content) }
    // Others may have been passed by while only one was to be asked.
    reconsider(content)
  }

  private func isHere(_ order: RecallOrder) -> Bool {
    let content = order.content.content
    guard !isLanding(content) else { return false }
    return order.isAfresh ? transfers.staged.contains(content) : contents.isAvailable(content)
  }

  /// A batch has the bytes in hand. Only its end tells where they are: under their name, in the staging area still, or gone,
  /// because they could not be synced.
  private func isLanding(_ content: ContentID) -> Bool {
    transfers.staged.contains(content) && filing.running?.contents.contains(content) == true
  }

  /// Something of it was asked for, or is being checked or landed.
  private func isMoving(_ content: ContentID) -> Bool {
    if isLanding(content) { return true }
    if let large = transfers.large[content] { return large.isAssembling || large.isAwaited }
    return transfers.inFlight[UnitID(content: content, part: .whole)] != nil
  }

  // MARK: Giving up

  private func verdict(on recall: Recalls.Open, now: Now) -> RecallOutcome? {
    guard recall.failures >= settings.recallFailures || endOfPatience(recall) <= now.instant else {
      return nil
    }
    if filing.isReadOnly { return .readOnly }
    if transfers.pausedUntil != nil || room?.isLow == true { return .noSpace }
    return recall.trouble ?? .notReachable
  }

  /// When a recall is given up if nothing happens. Without a connected machine that has it, or may turn out to, there is
  /// nothing to wait for once the links have been what they are for a while.
  private func endOfPatience(_ recall: Recalls.Open) -> Instant {
    let content = recall.order.content.content
    let stalled = recall.progressedAt + settings.recallStall
    if isMoving(content) || !transfers.isRecovered { return stalled }
    let hasHope = links.values.contains { link in
      recalls.mayAsk(link.machine, for: content)
        && (!link.knowsContents || contents.index.contains(content.digest, in: link.contents))
    }
    let since = hasHope ? recall.quietSince : recalls.linksChangedAt
    return min(stalled, since + settings.recallPatience)
  }

  var recallDeadline: Instant? {
    recalls.asking.compactMap { content in recalls.open[content].map { endOfPatience($0) } }.min()
  }

  // MARK: What fetching asks

  /// What is to be fetched of a content: for somebody who recalls it, or because a library here wants it.
  func missing(_ content: ContentID) throws(StoreError) -> MissingContent? {
    if let recall = recalls.open[content] { return recall.order.content }
    return role == .full ? try store.missingContent(content) : nil
  }
}

// MARK: - For the agent

extension Replicator {
  /// Machines whose newest statement, however old, says that they have a content of a library: where to look for it when
  /// nobody who has it is connected.
  package func lastKnownHolders(
    of content: ContentID, in owner: MachineID
  ) throws(StoreError) -> [MachineID] {
    var holders: [MachineID] = []
    for holder in attesting.newest.keys.sorted() where holder != machine && roster.isMember(holder) {
      if try says(holder, holds: content, of: owner) { holders.append(holder) }
    }
    return holders
  }

  /// Whether a machine's newest statement, current or not, names a content of a library as held. An owner speaks of its
  /// live contents alone; what an older head wanted is told by the catalog.
  func says(
    _ holder: MachineID, holds content: ContentID, of owner: MachineID
  ) throws(StoreError) -> Bool {
    guard let statement = attesting.newest[holder]?.record.libraries.first(where: { $0.library == owner }),
      statement.listsMissing, !statement.missing.contains(content)
    else { return false }
    if holder == owner, !contents.isLive(content, in: owner) { return false }
    if statement.order == libraries[owner]?.order { return true }
    return try store.wasWanted(content, in: owner, at: statement.order) ?? false
  }
}
