package import MantelCore

/// Walks that were asked for and have not begun, and the one that is under way.
///
/// A request that comes while its folder is being walked is another one: the walk may have passed by what it is about.
/// Whole folders are kept by id and lost by nothing; subtrees come from the watcher, whose events are many, so the ones
/// that are too many become a walk of their folder.
package struct ScanRequests: Sendable {
  package enum Request: Hashable, Sendable {
    case folder(FolderID)
    /// A directory below the folder's root and all below it.
    case subtree(FolderID, [UInt8])
  }

  /// Subtrees that wait, over all folders.
  package static let subtreeLimit = 4_096

  private let subtreeLimit: Int
  /// First asked, first served.
  private var folders: [FolderID] = []
  private var subtrees: [Request] = []
  /// The subtrees before this one are done.
  private var nextSubtree = 0
  private var underWay: Request?

  package init(subtreeLimit: Int = ScanRequests.subtreeLimit) { self.subtreeLimit = subtreeLimit }

  /// Whether a walk is asked for or under way.
  package var isBusy: Bool { !folders.isEmpty || nextSubtree < subtrees.count || underWay != nil }

  /// Asks for a walk of a folder, which covers the subtrees that were asked for.
  package mutating func ask(_ folder: FolderID) {
    forgetSubtrees(of: folder)
    if !folders.contains(folder) { folders.append(folder) }
  }

  package mutating func ask(_ folder: FolderID, below path: [UInt8]) {
    guard !folders.contains(folder) else { return }
    guard subtrees.count - nextSubtree < subtreeLimit else { return ask(folder) }
    subtrees.append(.subtree(folder, path))
  }

  /// What is to be walked now; nil when nothing is, or a walk is under way. Subtrees first: they are new photos.
  package mutating func begin() -> Request? {
    guard underWay == nil else { return nil }
    if nextSubtree < subtrees.count {
      underWay = subtrees[nextSubtree]
      nextSubtree += 1
      if nextSubtree == subtrees.count || nextSubtree >= 1_024 {
        subtrees.removeFirst(nextSubtree)
        nextSubtree = 0
      }
    } else if !folders.isEmpty {
      underWay = .folder(folders.removeFirst())
    }
    return underWay
  }

  /// The walk that `begin` returned has come to its end, whatever that was.
  package mutating func end() { underWay = nil }

  /// The folder is not backed up any more.
  package mutating func forget(_ folder: FolderID) {
    folders.removeAll { $0 == folder }
    forgetSubtrees(of: folder)
  }

  private mutating func forgetSubtrees(of folder: FolderID) {
    subtrees.removeFirst(nextSubtree)
    nextSubtree = 0
    subtrees.removeAll { if case .subtree(folder, _) = $0 { true } else { false } }
  }
}
