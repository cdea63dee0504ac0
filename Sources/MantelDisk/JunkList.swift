/// The built-in list of files that programs leave behind and nobody misses. Nothing is on it for being unknown.
package enum JunkList {
  /// Whether a file or directory of this name is junk; the directory's whole content with it.
  package static func isJunk(name: [UInt8], isDirectory: Bool) -> Bool {
    name.withUnsafeBytes { isJunk(name: $0, isDirectory: isDirectory) }
  }

  static func isJunk(name: UnsafeRawBufferPointer, isDirectory: Bool) -> Bool {
    guard !name.isEmpty else { return false }
    return isDirectory
      ? directories.hasWhole(name) || directoryPrefixes.hasStart(of: name)
      : files.hasWhole(name) || prefixes.hasStart(of: name) || suffixes.hasEnd(of: name)
  }

  /// Caches and bookkeeping of desktops and NAS systems.
  private static let files = Words([
    ".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized",
  ])
  /// Android's trash and unfinished downloads, files deleted while open, lock files.
  private static let prefixes = Words([
    ".trashed-", ".pending-", ".fuse_hidden", ".nfs0000", ".goutputstream-", ".~lock.", "~$", ".syncthing.",
  ])
  /// Unfinished downloads, temporary files, companions of SQLite databases.
  private static let suffixes = Words([
    ".part", ".partial", ".crdownload", ".tmp", "-wal", "-shm", "-journal",
  ])
  /// Thumbnails, trash, snapshots and other directories that repeat or describe what lies elsewhere.
  private static let directories = Words([
    ".thumbnails", "@eaDir", ".@__thumb", "@Recycle", "#recycle", "#snapshot", "$RECYCLE.BIN",
    "System Volume Information", ".Trash", ".Trashes", ".dtrash", ".Spotlight-V100", ".fseventsd",
    ".TemporaryItems", "lost+found", ".snapshots", ".stversions", ".stfolder",
  ])
  private static let directoryPrefixes = Words([".Trash-", ".trashed-", ".pending-"])

  /// Words that a name may be, begin or end with, in capitals or not. Every file's name is held against them: one byte tells of
  /// nearly all that they are none of these, and nothing is allocated.
  private struct Words: Sendable {
    private let words: [[UInt8]]
    /// By byte, lowercase: a word begins or ends with it.
    private let begin: [Bool]
    private let end: [Bool]

    init(_ names: [String]) {
      words = names.map { $0.utf8.map(Self.lowered) }
      let firsts = Set(words.compactMap(\.first))
      let lasts = Set(words.compactMap(\.last))
      begin = (0...UInt8.max).map { firsts.contains($0) }
      end = (0...UInt8.max).map { lasts.contains($0) }
    }

    func hasWhole(_ name: UnsafeRawBufferPointer) -> Bool {
      begin[Int(Self.lowered(name[0]))]
        && words.contains { $0.count == name.count && Self.stands($0, in: name, at: 0) }
    }

    func hasStart(of name: UnsafeRawBufferPointer) -> Bool {
      begin[Int(Self.lowered(name[0]))]
        && words.contains { $0.count <= name.count && Self.stands($0, in: name, at: 0) }
    }

    /// An end before which there is something.
    func hasEnd(of name: UnsafeRawBufferPointer) -> Bool {
      end[Int(Self.lowered(name[name.count - 1]))]
        && words.contains { $0.count < name.count && Self.stands($0, in: name, at: name.count - $0.count) }
    }

    private static func stands(_ word: [UInt8], in name: UnsafeRawBufferPointer, at start: Int) -> Bool {
      word.indices.allSatisfy { lowered(name[start + $0]) == word[$0] }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
      byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
  }
}
