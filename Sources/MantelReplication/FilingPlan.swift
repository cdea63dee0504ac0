import MantelCore

/// Where the replica files of one content have to be, and how they get there from what is here. Pure.
struct FilingPlan {
  /// A place that an entry names.
  struct Place: Hashable {
    var library: MachineID
    var entry: EntryID
    /// Below the replica root.
    var path: [UInt8]
    var mtime: Int64
  }

  /// What the bytes can be taken from when no replica file has them.
  enum Source: Hashable {
    case staged
    case own(root: [UInt8], path: [UInt8])
  }

  /// One operation, and the entry that its file will stand for (nil for a removal).
  struct Step: Equatable {
    var operation: FilingOperation
    var place: Place?
    /// The replica file's path before the operation, where it had one.
    var former: [UInt8]?
  }

  /// Removals and moves: they free names, so they go before anything that takes one.
  private(set) var leaving: [Step] = []
  private(set) var arriving: [Step] = []
  /// Files that already are what an entry asks for, to be recorded under its id.
  private(set) var staying: [(file: ReplicaFile, place: Place)] = []

  /// `occupied`: paths that files of other contents, which move themselves, still take.
  init(
    content: ContentID, places: [Place], files: [ReplicaFile], source: Source?,
    occupied: Set<[UInt8]>
  ) {
    guard !places.isEmpty else { return }
    var unused = files.sorted { $0.path.lexicographicallyPrecedes($1.path) }
    var open: [Place] = []
    for place in places.sorted(by: { $0.path.lexicographicallyPrecedes($1.path) }) {
      let fits = unused.firstIndex {
        $0.stamp.mtime == place.mtime
          ? ($0.entry == place.entry && $0.library == place.library) || $0.path == place.path
          : $0.entry == place.entry && $0.library == place.library && Self.isAlone($0, among: files)
      }
      if let fits {
        let file = unused.remove(at: fits)
        if file.stamp.mtime == place.mtime {
          staying.append((file, place))
        } else {
          // Somebody touched it: it keeps its name and gets its time back.
          leaving.append(Self.move(file, to: file.path, content, place))
        }
      } else {
        open.append(place)
      }
    }
    var late: [Place] = []
    // First those whose name is taken already: else another place might take their file away.
    let named = Set(unused.map(\.path))
    for place in open.filter({ named.contains($0.path) }) + open.filter({ !named.contains($0.path) }) {
      if !occupied.contains(place.path),
        let index = Self.movable(unused, to: place, among: files)
      {
        leaving.append(Self.move(unused.remove(at: index), to: place.path, content, place))
      } else {
        late.append(place)
      }
    }
    for place in late {
      if staying.isEmpty, leaving.isEmpty, arriving.isEmpty, let file = unused.first {
        // The name is free only after its file has moved: ours is parked meanwhile.
        unused.removeFirst()
        leaving.append(
          Step(
            operation: .move(
              from: file.path, path: Self.parking(content), content: content, mtime: place.mtime),
            place: nil, former: file.path))
        arriving.append(
          Step(
            operation: .move(
              from: Self.parking(content), path: place.path, content: content, mtime: place.mtime),
            place: place))
      } else if let step = copy(content, to: place, source: source) {
        arriving.append(step)
      }
      // Else nothing here has the bytes: the content is missing, and is filed once they have come.
    }
    // What is left over is a second copy of bytes that stay.
    if !staying.isEmpty || !leaving.isEmpty || !arriving.isEmpty {
      for file in unused {
        leaving.append(Step(operation: .remove(path: file.path), place: nil, former: file.path))
      }
    }
  }

  /// A file that may become the place's by a move. A move sets the file's mtime, and with it that of its other hard
  /// links: one that has some is moved only as it is.
  private static func movable(
    _ unused: [ReplicaFile], to place: Place, among files: [ReplicaFile]
  ) -> Int? {
    // A file of these bytes that is there already would be taken for the one that is to come.
    if let there = unused.firstIndex(where: { $0.path == place.path }) {
      return isAlone(unused[there], among: files) ? there : nil
    }
    return unused.firstIndex { $0.stamp.mtime == place.mtime }
      ?? unused.firstIndex { isAlone($0, among: files) }
  }

  /// No other of the content's files is a hard link of this one, as far as the catalog knows.
  private static func isAlone(_ file: ReplicaFile, among files: [ReplicaFile]) -> Bool {
    !files.contains { $0.path != file.path && $0.stamp.inode == file.stamp.inode }
  }

  private static func move(
    _ file: ReplicaFile, to path: [UInt8], _ content: ContentID, _ place: Place
  ) -> Step {
    Step(
      operation: .move(from: file.path, path: path, content: content, mtime: place.mtime), place: place,
      former: file.path)
  }

  /// Where a file waits for its new name; after a crash the same plan finds it there.
  static func parking(_ content: ContentID) -> [UInt8] {
    Array(".mantel/trash/parked/\(content.hex)".utf8)
  }

  private func copy(_ content: ContentID, to place: Place, source: Source?) -> Step? {
    let placed: [(path: [UInt8], mtime: Int64)] =
      staying.map { ($0.file.path, $0.place.mtime) }
      + (leaving + arriving).compactMap { step in
        step.place.map { ($0.path, $0.mtime) }
      }
    let operation: FilingOperation
    if let twin = placed.first(where: { $0.mtime == place.mtime }) {
      operation = .link(from: twin.path, path: place.path, content: content, mtime: place.mtime)
    } else if let other = placed.first {
      operation = .copy(from: other.path, path: place.path, content: content, mtime: place.mtime)
    } else {
      switch source {
      case .staged: operation = .land(content, path: place.path, mtime: place.mtime)
      case .own(let root, let path):
        operation = .copyOwn(
          root: root, source: path, path: place.path, content: content, mtime: place.mtime)
      case nil: return nil
      }
    }
    return Step(operation: operation, place: place)
  }
}
