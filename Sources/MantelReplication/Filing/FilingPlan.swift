import DequeModule
import MantelCore

/// Where the replica files of one content have to be, and how they get there from what is here. Pure; takes time in
/// proportion to places and files, of which an empty file or a common sidecar may have ten thousands.
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
    /// When bytes that are only given a name were hashed; nil for those that are hashed on their way.
    var verified: WallTime?
    /// Into the trash beside a copy that stays or comes: no drop was judged.
    var isSecondCopy = false

    /// What frees a name without taking one that an entry asks for: the moves behind it need that name.
    var onlyFrees: Bool { place == nil || FilingPlan.isInTrash(operation.path) }
  }

  /// Removals and moves: they free names, so they go before anything that takes one.
  private(set) var leaving: [Step] = []
  private(set) var arriving: [Step] = []
  /// Files that already are what an entry asks for, to be recorded under its id.
  private(set) var staying: [(file: ReplicaFile, place: Place)] = []
  /// Files that stay where they are and get the mark that they have here.
  private(set) var marked: [ReplicaFile] = []
  /// Copies among the steps, each of which may need new bytes on the disk.
  private(set) var copies = 0
  /// A place waits for a copy that there is no room for.
  private(set) var lacksRoom = false
  private var copyLimit = Int.max
  /// What later places are linked to or copied from: the first file of all, and the first of each mtime.
  private var original: Model?
  private var twins: [Int64: Model] = [:]

  private struct Model {
    var path: [UInt8]
    var rank: Int
    /// When its bytes were hashed, if that is not only now.
    var verified: WallTime?
  }

  /// `silent`: libraries that name the content no more and have not dropped it: their files stay where they are, and may
  /// be copied. `occupied`: paths that files of other contents, which move themselves, still take. `ended`: what of the
  /// trash may go. `copyLimit`: for how many copies there is room; places beyond that are left out.
  init(
    content: ContentID, places: [Place], files: [ReplicaFile], silent: Set<MachineID> = [], source: Source?,
    occupied: Set<[UInt8]>, ended: TrashEnd? = nil, copyLimit: Int = .max
  ) {
    guard !places.isEmpty else { return }
    self.copyLimit = copyLimit
    let left = silent.isEmpty ? [] : files.filter { silent.contains($0.library) && !Self.isInTrash($0.path) }
    var unused = UnusedFiles(
      left.isEmpty ? files : files.filter { !silent.contains($0.library) || Self.isInTrash($0.path) })
    var open: [Place] = []
    for place in places.sorted(by: { $0.path.lexicographicallyPrecedes($1.path) }) {
      guard let file = unused.takeFitting(place) else {
        open.append(place)
        continue
      }
      if file.stamp.mtime == place.mtime {
        staying.append((file, place))
        offer(file.path, place.mtime, rank: 0, file.verified)
      } else {
        // Somebody touched it: it keeps its name and gets its time back.
        move(file, to: file.path, content, place)
      }
    }
    for file in left { offer(file.path, file.stamp.mtime, rank: 0, file.verified) }
    var late: [Place] = []
    // First those whose name is taken already: else another place might take their file away.
    let named = open.filter { unused.has($0.path) }
    for place in named + open.filter({ !unused.has($0.path) }) {
      if !occupied.contains(place.path), let file = unused.takeMovable(to: place) {
        move(file, to: place.path, content, place)
      } else {
        late.append(place)
      }
    }
    for place in late {
      if original == nil, let file = unused.takeFirst() {
        // The name is free only after its file has moved: ours is parked meanwhile.
        var waiting = file.path
        if !Self.isInTrash(file.path) {
          waiting = Self.parking(content)
          let aside = Step(
            operation: .move(from: file.path, path: waiting, content: content, mtime: place.mtime),
            place: place, former: file.path, verified: file.verified)
          leaving.append(aside)
        }
        arrive(
          .move(from: waiting, path: place.path, content: content, mtime: place.mtime), place,
          former: waiting, verified: file.verified)
      } else if let (operation, verified) = copy(content, to: place, source: source) {
        arrive(operation, place, verified: verified)
      }
      // Else nothing here has the bytes: the content is missing, and is filed once they have come. Or they wait for room.
    }
    guard !staying.isEmpty || !leaving.isEmpty || !arriving.isEmpty else { return }
    var leftOver: [ReplicaFile] = []
    while let file = unused.takeFirst() { leftOver.append(file) }
    retire(leftOver, besides: files, ended)
  }

  /// A plan without a step.
  init() {}

  mutating func leave(_ step: Step) { leaving.append(step) }

  mutating func mark(_ file: ReplicaFile) { marked.append(file) }

  private mutating func move(_ file: ReplicaFile, to path: [UInt8], _ content: ContentID, _ place: Place) {
    leaving.append(
      Step(
        operation: .move(from: file.path, path: path, content: content, mtime: place.mtime), place: place,
        former: file.path, verified: file.verified))
    offer(path, place.mtime, rank: 1, file.verified)
  }

  private mutating func arrive(
    _ operation: FilingOperation, _ place: Place, former: [UInt8]? = nil, verified: WallTime?
  ) {
    arriving.append(Step(operation: operation, place: place, former: former, verified: verified))
    offer(place.path, place.mtime, rank: 2, verified)
  }

  /// A file that later places may be made from; of a lower rank before one of a higher, then the first.
  private mutating func offer(_ path: [UInt8], _ mtime: Int64, rank: Int, _ verified: WallTime?) {
    let model = Model(path: path, rank: rank, verified: verified)
    if original.map({ $0.rank > rank }) ?? true { original = model }
    if twins[mtime].map({ $0.rank > rank }) ?? true { twins[mtime] = model }
  }

  /// Where a file waits for its new name. It has a row there: after a crash, or when its name was not to be had, the
  /// next plan finds it.
  static func parking(_ content: ContentID) -> [UInt8] { parked + content.hexDigits }

  static func isParked(_ path: [UInt8]) -> Bool { path.starts(with: parked) }

  /// Parked, or dropped: no file there is where an entry asks for it.
  static func isInTrash(_ path: [UInt8]) -> Bool { path.starts(with: trash) }

  /// In the trash because it was dropped.
  static func isDiscarded(_ path: [UInt8]) -> Bool { isInTrash(path) && !isParked(path) }

  static let trash = Array(".mantel/trash/".utf8)
  private static let parked = trash + Array("parked/".utf8)

  /// A link's bytes were hashed with its twin; all others are hashed on their way.
  private mutating func copy(
    _ content: ContentID, to place: Place, source: Source?
  ) -> (FilingOperation, verified: WallTime?)? {
    if let twin = twins[place.mtime] {
      return (
        .link(from: twin.path, path: place.path, content: content, mtime: place.mtime), twin.verified
      )
    }
    if let original {
      guard takeRoom() else { return nil }
      return (.copy(from: original.path, path: place.path, content: content, mtime: place.mtime), nil)
    }
    switch source {
    case .staged: return (.land(content, path: place.path, mtime: place.mtime), nil)
    case .own(let root, let path):
      guard takeRoom() else { return nil }
      return (
        .copyOwn(root: root, source: path, path: place.path, content: content, mtime: place.mtime), nil
      )
    case nil: return nil
    }
  }

  private mutating func takeRoom() -> Bool {
    guard copies < copyLimit else {
      lacksRoom = true
      return false
    }
    copies += 1
    return true
  }
}

extension FilingPlan {
  /// Links and copies after the files that they are made from; else by path.
  static func sourcesFirst(_ steps: [Step]) -> [Step] {
    // Their places are sorted: a step itself is large, and comparing it would look for its path each time.
    let keys = steps.map { (rank: rank($0.operation), path: $0.operation.path) }
    return keys.indices.sorted { left, right in
      keys[left].rank != keys[right].rank
        ? keys[left].rank < keys[right].rank : keys[left].path.lexicographicallyPrecedes(keys[right].path)
    }.map { steps[$0] }
  }

  private static func rank(_ operation: FilingOperation) -> Int {
    switch operation {
    case .move, .remove: 0
    case .land, .copyOwn: 1
    case .link, .copy: 2
    }
  }
}

/// The files of one content that no place has yet, found by what a place asks for.
private struct UnusedFiles {
  private struct EntryName: Hashable {
    var library: MachineID
    var entry: EntryID
  }
  private let files: [ReplicaFile]
  private var isUsed: [Bool]
  private let byPath: [[UInt8]: Int]
  /// Indices by path order; those that were used since are dropped when they are met.
  private var byEntry: [EntryName: Deque<Int>] = [:]
  private var byTime: [Int64: Deque<Int>] = [:]
  private var all: Deque<Int>
  private var alone: Deque<Int>
  private let isAlone: [Bool]

  init(_ unsorted: [ReplicaFile]) {
    // What was dropped is taken last.
    let files = unsorted.sorted {
      let isDiscarded = (FilingPlan.isDiscarded($0.path), FilingPlan.isDiscarded($1.path))
      return isDiscarded.0 == isDiscarded.1
        ? $0.path.lexicographicallyPrecedes($1.path) : isDiscarded.1
    }
    var names: [UInt64: Int] = [:]
    for file in files { names[file.stamp.inode, default: 0] += 1 }
    self.files = files
    isUsed = Array(repeating: false, count: files.count)
    isAlone = files.map { names[$0.stamp.inode] == 1 }
    byPath = Dictionary(files.indices.map { (files[$0].path, $0) }) { first, _ in first }
    all = Deque(files.indices)
    alone = Deque(files.indices.filter { [isAlone] in isAlone[$0] })
    for (index, file) in files.enumerated() {
      byEntry[EntryName(library: file.library, entry: file.entry), default: []].append(index)
      byTime[file.stamp.mtime, default: []].append(index)
    }
  }

  /// A file of the place's path that no place has yet is there.
  func has(_ path: [UInt8]) -> Bool { byPath[path].map { !isUsed[$0] } ?? false }

  /// The file that stands for the place's entry already, or lies there as it should. One in the trash has to move. One of
  /// another time gets the right one in place, unless that would be the time of its other hard links too.
  mutating func takeFitting(_ place: FilingPlan.Place) -> ReplicaFile? {
    let name = EntryName(library: place.library, entry: place.entry)
    for index in byEntry[name] ?? [] where !isUsed[index] && !FilingPlan.isInTrash(files[index].path) {
      if files[index].stamp.mtime == place.mtime || isAlone[index] { return take(index) }
    }
    guard let index = byPath[place.path], !isUsed[index], files[index].stamp.mtime == place.mtime else {
      return nil
    }
    return take(index)
  }

  /// A file that may become the place's by a move. A move sets the file's mtime, and with it that of its other hard
  /// links: one that has some is moved only as it is.
  mutating func takeMovable(to place: FilingPlan.Place) -> ReplicaFile? {
    // A file of these bytes that is there already would be taken for the one that is to come.
    if let there = byPath[place.path], !isUsed[there] { return isAlone[there] ? take(there) : nil }
    while let index = byTime[place.mtime]?.popFirst() {
      if !isUsed[index] { return take(index) }
    }
    while let index = alone.popFirst() {
      if !isUsed[index] { return take(index) }
    }
    return nil
  }

  mutating func takeFirst() -> ReplicaFile? {
    while let index = all.popFirst() {
      if !isUsed[index] { return take(index) }
    }
    return nil
  }

  private mutating func take(_ index: Int) -> ReplicaFile {
    isUsed[index] = true
    return files[index]
  }
}
