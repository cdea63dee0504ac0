import CMantelSystem
import Glibc
import MantelCore
import Synchronization

/// The watching thread's work: waits for inotify and for commands, keeps a watch on every directory.
struct WatchLoop {
  /// A folder that is watched.
  private struct Watched {
    var folder: Folder
    var walker: FolderWalker
    var hasToldLimit = false
  }
  /// What a watch descriptor stands for.
  private struct Place {
    var folder: FolderID
    var path: [UInt8]
  }

  private let shared: FolderWatcher.Shared
  private let inotify: OpenFile
  private var folders: [FolderID: Watched] = [:]
  private var places: [Int32: Place] = [:]

  private static let mask =
    UInt32(IN_CLOSE_WRITE) | UInt32(IN_MODIFY) | UInt32(IN_ATTRIB) | UInt32(IN_CREATE) | UInt32(IN_DELETE)
    | UInt32(IN_MOVED_FROM) | UInt32(IN_MOVED_TO) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
    | UInt32(IN_ONLYDIR) | UInt32(IN_EXCL_UNLINK)
  private static let bufferBytes = 256 << 10
  /// struct inotify_event: i32 watch, u32 mask, u32 cookie, u32 length of the name that follows.
  private static let headerBytes = 16

  init(shared: FolderWatcher.Shared, inotify: OpenFile) {
    self.shared = shared
    self.inotify = inotify
  }

  /// Runs until the watcher is closed.
  mutating func run() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferBytes, alignment: 8)
    defer { buffer.deallocate() }
    while true {
      var waits = [
        pollfd(fd: inotify.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: shared.wake.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      _ = result { poll(&waits, 2, -1) }
      if waits[1].revents != 0 {
        var count: UInt64 = 0
        _ = read(shared.wake.descriptor, &count, 8)
      }
      if waits[0].revents != 0 { readEvents(into: buffer) }
      if !obey() { break }
    }
    shared.queue.close()
  }

  /// Does what was asked for; false when closed.
  private mutating func obey() -> Bool {
    let (commands, isClosed) = shared.inbox.withLock { inbox in
      defer { inbox.commands = [] }
      return (inbox.commands, inbox.isClosed)
    }
    for command in commands {
      switch command {
      case .watch(let folder, let ownPaths, let done):
        if !isClosed { start(folder, ownPaths: ownPaths) }
        done.resume()
      case .unwatch(let id): stop(id)
      }
    }
    return !isClosed
  }

  // MARK: Folders

  private mutating func start(_ folder: Folder, ownPaths: [[UInt8]]) {
    stop(folder.id)
    folders[folder.id] = Watched(folder: folder, walker: FolderWalker(folder: folder, ownPaths: ownPaths))
    do throws(DiskError) {
      let root = try Directory(root: folder.root)
      if !FilesystemFacts.isLocal(root.file) { tellNoWatches(folder.id, errno: EREMOTE) }
    } catch {
      lose(folder.id)
      return
    }
    cover([], of: folder.id, isNew: false)
  }

  private mutating func stop(_ id: FolderID) {
    guard folders.removeValue(forKey: id) != nil else { return }
    removeWatches(of: id, below: [])
  }

  /// The root is gone: says so, and watches it no longer.
  private mutating func lose(_ id: FolderID) {
    guard folders[id] != nil else { return }
    stop(id)
    shared.queue.push(WatchEvent(folder: id, path: [], kind: .rootGone))
  }

  /// Watches the directory at `path` and all below it. In a new one, tells of what is there already: a file made
  /// before the watch has no event of its own.
  private mutating func cover(_ path: [UInt8], of id: FolderID, isNew: Bool) {
    guard let watched = folders[id] else { return }
    var open = [path]
    while let next = open.popLast() {
      // The watch first, the look second: nothing falls in between.
      guard addWatch(next, of: id, root: watched.folder.root) else {
        if next.isEmpty { return lose(id) }
        continue
      }
      do throws(DiskError) {
        guard let outline = try watched.walker.outline(next, withFiles: isNew) else {
          removeWatches(of: id, below: next)
          continue
        }
        open += outline.subdirectories
        guard isNew else { continue }
        shared.queue.push(WatchEvent(folder: id, path: next, kind: .directoryAppeared))
        for file in outline.files {
          shared.queue.push(WatchEvent(folder: id, path: file, kind: .changed))
        }
      } catch {
        // Gone again, which its parent's watch tells; or unreadable, which the walk tells.
        continue
      }
    }
  }

  /// False when the directory cannot be opened. One that cannot be watched is looked into all the same: below it
  /// there may be watches.
  private mutating func addWatch(_ path: [UInt8], of id: FolderID, root: [UInt8]) -> Bool {
    guard let top = try? Directory(root: root), let directory = try? path.isEmpty ? top : top.directory(path)
    else {
      return false
    }
    // By descriptor: no length of a path and no exchanged symlink can lead to another directory.
    let name = Array("/proc/self/fd/\(directory.descriptor)".utf8)
    let watch = result { withName(name) { inotify_add_watch(inotify.descriptor, $0, Self.mask) } }
    if watch >= 0 {
      places[Int32(watch)] = Place(folder: id, path: path)
    } else {
      tellNoWatches(id, errno: Int32(-watch))
    }
    return true
  }

  private mutating func tellNoWatches(_ id: FolderID, errno: Int32) {
    guard folders[id]?.hasToldLimit == false else { return }
    folders[id]?.hasToldLimit = true
    shared.queue.push(WatchEvent(folder: id, path: [], kind: .noWatches(errno: errno)))
  }

  /// Gives up the watches of a subtree: it may live on elsewhere, and would report under names that are not its own.
  private mutating func removeWatches(of id: FolderID, below path: [UInt8]) {
    let prefix = path + [UInt8(ascii: "/")]
    for (watch, place) in places where place.folder == id {
      guard path.isEmpty || place.path == path || place.path.starts(with: prefix) else { continue }
      // Fails where the kernel has dropped it with the directory.
      _ = inotify_rm_watch(inotify.descriptor, watch)
      places[watch] = nil
    }
  }

  // MARK: Events

  private mutating func readEvents(into buffer: UnsafeMutableRawBufferPointer) {
    let filled = result { read(inotify.descriptor, buffer.baseAddress, buffer.count) }
    var position = 0
    while position + Self.headerBytes <= filled {
      let watch = buffer.loadUnaligned(fromByteOffset: position, as: Int32.self)
      let mask = buffer.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self)
      let length = Int(buffer.loadUnaligned(fromByteOffset: position + 12, as: UInt32.self))
      let start = position + Self.headerBytes
      guard start + length <= filled else { break }
      take(watch, mask, name: Array(buffer[start..<start + length].prefix { $0 != 0 }))
      position = start + length
    }
  }

  private mutating func take(_ watch: Int32, _ mask: UInt32, name: [UInt8]) {
    func has(_ flag: Int32) -> Bool { mask & UInt32(bitPattern: flag) != 0 }
    if has(Int32(IN_Q_OVERFLOW)) {
      for id in folders.keys { recover(id) }
      return
    }
    // Late events of watches that were given up have no place any more.
    guard let place = places[watch] else { return }
    if has(Int32(IN_IGNORED)) {
      places[watch] = nil
      return
    }
    if name.isEmpty {
      takeOwn(
        place, isGone: has(Int32(IN_DELETE_SELF)) || has(Int32(IN_UNMOUNT)), isMoved: has(Int32(IN_MOVE_SELF))
      )
      return
    }
    let path = place.path.isEmpty ? name : place.path + [UInt8(ascii: "/")] + name
    let isGone = has(Int32(IN_DELETE)) || has(Int32(IN_MOVED_FROM))
    if has(Int32(IN_ISDIR)) {
      takeDirectory(
        path, of: place.folder, isGone: isGone, isNew: has(Int32(IN_CREATE)) || has(Int32(IN_MOVED_TO)))
    } else {
      let isSettled = has(Int32(IN_CLOSE_WRITE)) || has(Int32(IN_MOVED_TO))
      let kind: WatchEvent.Kind = isGone ? .gone : isSettled ? .settled : .changed
      shared.queue.push(WatchEvent(folder: place.folder, path: path, kind: kind))
    }
  }

  /// An event about a watched directory itself. A subdirectory's end shows at its parent too, but for an unmount.
  private mutating func takeOwn(_ place: Place, isGone: Bool, isMoved: Bool) {
    if place.path.isEmpty {
      if isGone || isMoved { lose(place.folder) }
    } else if isGone {
      removeWatches(of: place.folder, below: place.path)
      shared.queue.push(WatchEvent(folder: place.folder, path: place.path, kind: .directoryGone))
    }
  }

  private mutating func takeDirectory(_ path: [UInt8], of id: FolderID, isGone: Bool, isNew: Bool) {
    if isGone {
      removeWatches(of: id, below: path)
      shared.queue.push(WatchEvent(folder: id, path: path, kind: .directoryGone))
    } else if isNew, let watched = folders[id], watched.walker.skipReason(for: path, isDirectory: true) == nil
    {
      cover(path, of: id, isNew: true)
    }
  }

  /// After lost events nothing is known of the tree: all watches anew, and the reader looks through it all.
  private mutating func recover(_ id: FolderID) {
    guard folders[id] != nil else { return }
    removeWatches(of: id, below: [])
    cover([], of: id, isNew: false)
    shared.queue.push(WatchEvent(folder: id, path: [], kind: .overflow))
  }
}
