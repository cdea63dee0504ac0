import MantelCore
import MantelSummary

/// Contents that were asked for in vain, because every file here that has them, the user's or the replica's, lies on a disk that
/// is away: peers are told once that they cannot be had, and once that they can when the disk is back. To all else here they are
/// available.
struct Withdrawals: Sendable {
  /// When the walk over them goes on that looks for what is back; nil: there is none.
  fileprivate(set) var due: Instant?
  /// Where it goes on.
  fileprivate var position = Digest256.zero
}

extension Replicator {
  /// Nothing is withdrawn that nobody asked for: whoever has all of it need not hear of a million photos whenever a disk is
  /// unplugged.
  mutating func couldNotServe(_ asked: [ContentID]) throws(StoreError) {
    guard isAnythingAway || scrub.sight.isAway else { return }
    for content in asked where contents.isOffered(content) {
      guard try isOutOfReach(content), contents.withdraw(content) else { continue }
      availability.note(content, isAvailable: false)
    }
  }

  /// Whether every file that has a content lies in a part of a folder that is away, or in the replica while that is; what is staged
  /// lies there too. One that only changed, or could not be read, says nothing of the next time.
  private func isOutOfReach(_ content: ContentID) throws(StoreError) -> Bool {
    var isInReplica = transfers.staged.contains(content)
    if !isInReplica { isInReplica = try !store.replicaFiles(of: content).isEmpty }
    if isInReplica, !scrub.sight.isAway { return false }
    let own = try publishedFiles(of: content)
    guard isInReplica || !own.isEmpty else { return false }
    return own.allSatisfy { isAway($0.folder, $0.path) }
  }

  /// A part of a folder is there that was away, or the replica is. A walk that is under way starts over, in its time.
  mutating func cameBack(now: Now) {
    withdrawals.position = .zero
    withdrawals.due = withdrawals.due ?? now.instant
  }

  /// In portions: what a peer has not taken yet of its news is bounded, and one more ends the connection.
  mutating func offerAgainIfDue(now: Now) throws(StoreError) {
    guard let due = withdrawals.due, due <= now.instant else { return }
    let limit = settings.offeredAgain
    var page: [Digest256] = []
    contents.index.forEach(
      in: [contents.available], notIn: [contents.offered], from: withdrawals.position
    ) {
      page.append($0)
      return page.count <= limit
    }
    for id in page.prefix(limit) where try !isOutOfReach(ContentID(id)) { makeAvailable(ContentID(id)) }
    let next = page.count > limit ? page.last : nil
    withdrawals.due = next.map { _ in now.instant + settings.offerInterval }
    withdrawals.position = next ?? .zero
  }
}
