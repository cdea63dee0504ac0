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

/// What of the trash is over.
struct TrashEnd: Hashable {
  /// Came into the trash at that moment or before.
  var trashed: AgentTime
  /// A second copy goes only when the first was read then. Whatever a clock says that is ahead, or has been: what comes
  /// to be in the future by it counts for nothing.
  var read: ClosedRange<WallTime>
}

extension FilingPlan {
  /// The plan for a content without a place: `files` are those whose libraries dropped it. All of them go to the trash:
  /// one that is there by its row may be gone, or rotten, so that none may be taken for a copy of another.
  init(content: ContentID, dropped files: [ReplicaFile], fate: DropFate) {
    self.init()
    let outside = files.filter { !Self.isDiscarded($0.path) }
    switch fate {
    case .isHeld:
      for var file in outside where file.mark == nil {
        file.mark = .held
        mark(file)
      }
    case .goes: for file in files where file.mark?.isInTrash == true { remove(file) }
    case .goesToTrash: discard(outside, besides: files, isSecondCopy: false)
    }
  }

  /// Second copies of bytes that stay go to the trash too, and from there when their time is over and what stays was read
  /// meanwhile.
  mutating func retire(_ files: [ReplicaFile], besides all: [ReplicaFile], _ ended: TrashEnd?) {
    discard(files.filter { !Self.isDiscarded($0.path) }, besides: all, isSecondCopy: true)
    guard let ended, staying.contains(where: { ended.read.contains($0.file.verified) }) else { return }
    for file in files where file.mark?.hasBeenInTrash(since: ended.trashed) == true { remove(file) }
  }

  private mutating func discard(
    _ files: [ReplicaFile], besides all: [ReplicaFile], isSecondCopy: Bool
  ) {
    guard !files.isEmpty else { return }
    var taken = Set(all.lazy.map(\.path).filter(Self.isDiscarded))
    var number = 1
    for file in files.sorted(by: { $0.path.lexicographicallyPrecedes($1.path) }) {
      var path = Self.trashPath(of: file, number: number)
      while !taken.insert(path).inserted {
        number += 1
        path = Self.trashPath(of: file, number: number)
      }
      leave(
        Step(
          operation: .move(from: file.path, path: path, content: file.content, mtime: file.stamp.mtime),
          place: Place(library: file.library, entry: file.entry, path: path, mtime: file.stamp.mtime),
          former: file.path, verified: file.verified, isSecondCopy: isSecondCopy))
    }
  }

  /// Whether a step deletes what was dropped, or released.
  static func isDeletion(_ operation: FilingOperation) -> Bool {
    if case .remove = operation { true } else { false }
  }

  mutating func remove(_ file: ReplicaFile) {
    leave(Step(operation: .remove(path: file.path, content: file.content), place: nil, former: file.path))
  }

  /// Named by its bytes: a name that was forgotten is forgotten. The ending stays, so that the file opens by hand.
  static func trashPath(of file: ReplicaFile, number: Int = 1) -> [UInt8] {
    let name = file.path.split(separator: UInt8(ascii: "/")).last ?? []
    let ending = name.lastIndex(of: UInt8(ascii: ".")).map { name[$0...] } ?? []
    let isPlain = (2...9).contains(ending.count) && ending.dropFirst().allSatisfy(isAlphanumeric)
    let copy = number > 1 ? "-\(number)" : ""
    return trash + Array((file.content.hex + copy).utf8) + (isPlain ? Array(ending) : [])
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
