import MantelCore

/// What becomes of the replica files of a content that no library names any more.
enum DropFate: Hashable {
  /// Dropped, and by so few that nobody has to be asked; or confirmed.
  case goesToTrash
  /// Too many were dropped at once: it stays until somebody confirms.
  case isHeld
  /// Its time in the trash is over.
  case goes
}

extension FilingPlan {
  /// The plan for a content without a place: `files` are those whose libraries dropped it. One of them goes to the trash
  /// and the others are second copies of its bytes; what is there already stays there until its time is over.
  init(content: ContentID, dropped files: [ReplicaFile], fate: DropFate) {
    self.init()
    let files = files.sorted { $0.path.lexicographicallyPrecedes($1.path) }
    guard let kept = files.first(where: { $0.mark?.isInTrash == true }) ?? files.first else { return }
    switch fate {
    case .isHeld:
      for var file in files where file.mark == nil {
        file.mark = .held
        mark(file)
      }
    case .goes:
      for file in files where file.mark?.isInTrash == true { remove(file) }
    case .goesToTrash:
      if kept.mark?.isInTrash != true {
        leave(
          Step(
            operation: .move(
              from: kept.path, path: Self.trashPath(of: kept), content: content, mtime: kept.stamp.mtime),
            place: Place(
              library: kept.library, entry: kept.entry, path: Self.trashPath(of: kept),
              mtime: kept.stamp.mtime), former: kept.path, verified: kept.verified))
      }
      for file in files where file.path != kept.path { remove(file) }
    }
  }

  /// Whether a step deletes what was dropped.
  static func isDeletion(_ operation: FilingOperation) -> Bool {
    if case .remove(let path, _) = operation { isDiscarded(path) } else { false }
  }

  private mutating func remove(_ file: ReplicaFile) {
    leave(Step(operation: .remove(path: file.path, content: file.content), place: nil, former: file.path))
  }

  /// Named by its bytes: a name that was forgotten is forgotten. The ending stays, so that the file opens by hand.
  static func trashPath(of file: ReplicaFile) -> [UInt8] {
    let name = file.path.split(separator: UInt8(ascii: "/")).last ?? []
    let ending = name.lastIndex(of: UInt8(ascii: ".")).map { name[$0...] } ?? []
    let isPlain = (2...9).contains(ending.count) && ending.dropFirst().allSatisfy(isAlphanumeric)
    return trash + Array(file.content.hex.utf8) + (isPlain ? Array(ending) : [])
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      true
    default: false
    }
  }
}
