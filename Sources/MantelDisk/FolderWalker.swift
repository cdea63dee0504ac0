import Glibc
package import MantelCore

/// A file as a look at its directory found it; nothing was opened.
package struct FileObservation: Hashable, Sendable {
  package enum FileType: Hashable, Sendable {
    case regular
    case directory
    case symlink
    /// FIFO, socket or device.
    case special
    case unreadable(errno: Int32)
  }
  /// Bytes below the root.
  package var path: [UInt8]
  package var stamp: FileStamp
  package var type: FileType
  /// Names that the file has: above 1, other paths may share its inode.
  package var linkCount: UInt64

  package init(path: [UInt8], stamp: FileStamp, type: FileType, linkCount: UInt64 = 1) {
    self.path = path
    self.stamp = stamp
    self.type = type
    self.linkCount = linkCount
  }

  init(path: [UInt8], status: FileStatistics) {
    self.init(path: path, stamp: status.stamp, type: status.type, linkCount: status.linkCount)
  }
}

extension FileStatistics {
  var type: FileObservation.FileType {
    isRegular ? .regular : isDirectory ? .directory : isSymlink ? .symlink : .special
  }
}

/// One directory of a folder: not what lies deeper.
package struct DirectoryListing: Sendable {
  /// Regular files to back up, ascending by the bytes of their paths.
  package var files: [FileObservation] = []
  /// Directories to look into, ascending.
  package var subdirectories: [[UInt8]] = []
  /// What is there and not backed up, ascending; an excluded, junk or Mantel directory is one item.
  package var skipped: [(path: [UInt8], reason: SkipReason)] = []
  /// The filesystem that the directory lies on, as `FilesystemFacts.identity` tells.
  package var filesystem: [UInt8] = []
}

/// Looks through a folder, a directory at a time, without opening a file.
///
/// A value for one scan: own paths are resolved when it is made.
package struct FolderWalker: Sendable {
  private struct Place: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  private let folder: Folder
  private let excludes: [Glob]
  private let ownPlaces: Set<Place>
  private let ownPaths: Set<[UInt8]>

  static let markerPath = Array(".mantel/marker".utf8)

  /// `ownPaths` are absolute: state, config, replicas. They are skipped by their identity too, whatever mount or link
  /// leads to them.
  package init(folder: Folder, ownPaths: [[UInt8]]) {
    self.folder = folder
    excludes = folder.excludes.map(Glob.init)
    self.ownPaths = Set(ownPaths.map(Self.withoutTrailingSlash))
    ownPlaces = Set(
      ownPaths.compactMap { path in
        // One that does not exist (yet) is known by its path alone.
        guard let status = try? Directory(root: path).file.status(path) else { return nil }
        return Place(device: status.stamp.device, inode: status.stamp.inode)
      })
  }

  /// Lists the directory at `path` below the root (empty: the root). Throws when it cannot be looked into: what lies
  /// below must then be taken for unknown, not for gone. A directory that itself is Mantel's own comes back as one
  /// skipped item.
  package func directory(_ path: [UInt8]) throws(DiskError) -> DirectoryListing {
    let directory = try open(path)
    var listing = DirectoryListing()
    listing.filesystem = try FilesystemFacts.identity(of: directory.file, path: path)
    if try isMantel(directory, path: path) {
      listing.skipped = [(path, .mantel)]
      return listing
    }
    var names = EntryNames()
    try directory.forEachName { name, _ in names.append(name) }
    listing.files.reserveCapacity(names.count)
    names.forEachAscending { name, terminated in
      add(name, terminated, of: directory, at: Self.join(path, name), to: &listing)
    }
    return listing
  }

  /// What a watch has to know of a directory: the directories to look into, ascending, and if asked for the paths of its files, in
  /// no order. As `directory(_:)`, but files are told by the directory alone, without asking for their `stat`. Nil for one of
  /// Mantel's.
  func outline(
    _ path: [UInt8], withFiles: Bool
  ) throws(DiskError) -> (subdirectories: [[UInt8]], files: [[UInt8]])? {
    let directory = try open(path)
    if try isMantel(directory, path: path) { return nil }
    var files: [[UInt8]] = []
    var unsure = EntryNames()
    try directory.forEachName { name, type in
      switch Int(type) {
      case Int(DT_DIR), Int(DT_UNKNOWN): unsure.append(name)
      case Int(DT_REG) where withFiles:
        let file = Self.join(path, name)
        if file.count <= Limits.pathBytes, ownReason(file, isDirectory: false) == nil { files.append(file) }
      default: break
      }
    }
    var listing = DirectoryListing()
    unsure.forEachAscending { name, terminated in
      add(name, terminated, of: directory, at: Self.join(path, name), to: &listing)
    }
    if withFiles { files += listing.files.map(\.path) }
    return (listing.subdirectories, files)
  }

  private func open(_ path: [UInt8]) throws(DiskError) -> Directory {
    let root = try Directory(root: folder.root)
    return try path.isEmpty ? root : root.directory(path)
  }

  private static func join(_ path: [UInt8], _ name: UnsafeRawBufferPointer) -> [UInt8] {
    var joined: [UInt8] = []
    joined.reserveCapacity(path.count + 1 + name.count)
    if !path.isEmpty {
      joined.append(contentsOf: path)
      joined.append(UInt8(ascii: "/"))
    }
    joined.append(contentsOf: name)
    return joined
  }

  /// Why a path of the folder is not backed up, judged by its name and the names above it alone; nil if it may be.
  package func skipReason(for path: [UInt8], isDirectory: Bool) -> SkipReason? {
    var end = path.startIndex
    while end < path.endIndex {
      end = path[end...].firstIndex(of: UInt8(ascii: "/")) ?? path.endIndex
      let part = Array(path[..<end])
      let isAbove = end < path.endIndex
      if let reason = ownReason(part, isDirectory: isAbove || isDirectory) { return reason }
      if isAbove { end += 1 }
    }
    return nil
  }

  /// `terminated` is the name as a C string.
  private func add(
    _ name: UnsafeRawBufferPointer, _ terminated: UnsafePointer<CChar>, of directory: Directory,
    at path: [UInt8], to listing: inout DirectoryListing
  ) {
    // The kernel's names have no slash, dots or NUL of their own: lengths are all there is to check.
    guard path.count <= Limits.pathBytes, name.count <= Limits.pathComponentBytes else {
      listing.skipped.append((path, .pathTooLong))
      return
    }
    let status: FileStatistics
    do {
      status = try directory.entryStatus(terminated: terminated, path: path)
    } catch {
      // Gone since it was listed: nothing to say of it.
      if error.errno == ENOENT { return }
      listing.skipped.append((path, .unreadable(errno: error.errno)))
      return
    }
    if let reason = skipReason(name, status, of: directory, at: path) {
      listing.skipped.append((path, reason))
    } else if status.isDirectory {
      listing.subdirectories.append(path)
    } else {
      listing.files.append(FileObservation(path: path, status: status))
    }
  }

  private func skipReason(
    _ name: UnsafeRawBufferPointer, _ status: FileStatistics, of directory: Directory, at path: [UInt8]
  ) -> SkipReason? {
    if let reason = ownReason(path, isDirectory: status.isDirectory) { return reason }
    if status.isDirectory {
      let place = Place(device: status.stamp.device, inode: status.stamp.inode)
      if ownPlaces.contains(place) || ownPaths.contains(absolute(path)) { return .mantel }
      let marker = Array(name) + [UInt8(ascii: "/")] + Self.markerPath
      return (try? directory.entryStatus(marker, path: path)) != nil ? .mantel : nil
    }
    if status.isSymlink { return .symlink }
    guard status.isRegular else { return .special }
    return status.stamp.size > Limits.contentBytes ? .tooLarge : nil
  }

  /// The reasons that names alone give. Excludes first: they are the user's words.
  private func ownReason(_ path: [UInt8], isDirectory: Bool) -> SkipReason? {
    if excludes.contains(where: { $0.matches(path, isDirectory: isDirectory) }) { return .excluded }
    let start = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
    let isJunk = path.withUnsafeBytes { bytes in
      JunkList.isJunk(name: UnsafeRawBufferPointer(rebasing: bytes[start...]), isDirectory: isDirectory)
    }
    return isJunk ? .junk : nil
  }

  private func isMantel(_ directory: Directory, path: [UInt8]) throws(DiskError) -> Bool {
    let status = try directory.file.status(path)
    return ownPlaces.contains(Place(device: status.stamp.device, inode: status.stamp.inode))
      || (try? directory.entryStatus(Self.markerPath, path: path)) != nil
  }

  private func absolute(_ path: [UInt8]) -> [UInt8] {
    Self.withoutTrailingSlash(folder.root) + [UInt8(ascii: "/")] + path
  }

  private static func withoutTrailingSlash(_ path: [UInt8]) -> [UInt8] {
    path.count > 1 && path.last == UInt8(ascii: "/") ? Array(path.dropLast()) : path
  }
}
