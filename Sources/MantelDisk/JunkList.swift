/// The built-in list of files that programs leave behind and nobody misses. Nothing is on it for being unknown.
package enum JunkList {
  /// Whether a file or directory of this name is junk; the directory's whole content with it.
  package static func isJunk(name: [UInt8], isDirectory: Bool) -> Bool {
    let name = name.map(lowered)
    if isDirectory {
      return directories.contains(name) || directoryPrefixes.contains { name.starts(with: $0) }
    }
    return files.contains(name)
      || prefixes.contains { name.starts(with: $0) }
      || suffixes.contains { name.count > $0.count && name.suffix($0.count).elementsEqual($0) }
  }

  private static func lowered(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
  }

  private static func table(_ names: [String]) -> [[UInt8]] { names.map { Array($0.lowercased().utf8) } }

  /// Caches and bookkeeping of desktops and NAS systems.
  private static let files = Set(
    table([".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized"]))
  /// Android's trash and unfinished downloads, files deleted while open, lock files.
  private static let prefixes = table([
    ".trashed-", ".pending-", ".fuse_hidden", ".nfs0000", ".goutputstream-", ".~lock.", "~$", ".syncthing.",
  ])
  /// Unfinished downloads, temporary files, companions of SQLite databases.
  private static let suffixes = table([
    ".part", ".partial", ".crdownload", ".tmp", "-wal", "-shm", "-journal",
  ])
  /// Thumbnails, trash, snapshots and other directories that repeat or describe what lies elsewhere.
  private static let directories = Set(
    table([
      ".thumbnails", "@eaDir", ".@__thumb", "@Recycle", "#recycle", "#snapshot", "$RECYCLE.BIN",
      "System Volume Information", ".Trash", ".Trashes", ".dtrash", ".Spotlight-V100", ".fseventsd",
      ".TemporaryItems", "lost+found", ".snapshots", ".stversions", ".stfolder",
    ]))
  private static let directoryPrefixes = table([".Trash-", ".trashed-", ".pending-"])
}
