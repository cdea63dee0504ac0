internal import GRDB
package import MantelCore

extension Catalog {
  /// Removed ones too, by name.
  package func folders() throws(StoreError) -> [Folder] {
    try read { db in
      var globs: [FolderID: [String]] = [:]
      let excludes = try db.rows("SELECT folder, glob FROM folder_exclude ORDER BY folder, position")
      while let row = try excludes.next() {
        globs[try row.folder(0), default: []].append(try row.text(1))
      }
      return try db.all(
        "SELECT id, name, root, filesystem, is_removed FROM folder ORDER BY name, id"
      ) { row in
        let id = try row.folder(0)
        return Folder(
          id: id, name: try row.text(1), root: try row.bytes(2), excludes: globs[id] ?? [],
          filesystem: try row.bytes(3), isRemoved: try row.flag(4))
      }
    }
  }

  package func putFolder(_ folder: Folder) throws(StoreError) {
    try write { db in
      try db.run(
        """
        INSERT INTO folder (id, name, root, filesystem, is_removed)
        VALUES (?, ?, coalesce(?, x''), coalesce(?, x''), ?)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, root = excluded.root, filesystem = excluded.filesystem,
          is_removed = excluded.is_removed
        """,
        [
          .folder(folder.id), .text(folder.name), .bytes(folder.root), .bytes(folder.filesystem),
          .flag(folder.isRemoved),
        ])
      try db.run("DELETE FROM folder_exclude WHERE folder = ?", [.folder(folder.id)])
      for (position, glob) in folder.excludes.enumerated() {
        try db.run(
          "INSERT INTO folder_exclude (folder, position, glob) VALUES (?, ?, ?)",
          [.folder(folder.id), .int(position), .text(glob)])
      }
    }
  }

  /// Whether a folder's published files count as held: not on a network filesystem. True until said otherwise.
  package func setFolder(_ folder: FolderID, isLocal: Bool) throws(StoreError) {
    try write { db in
      try db.run(
        "UPDATE folder SET is_local = ? WHERE id = ?", [.flag(isLocal), .folder(folder)])
    }
  }

  /// Filesystems of directories below a folder whose filesystem is not their parent's.
  package func directoryFilesystems(_ folder: FolderID) throws(StoreError)
    -> [(path: [UInt8], filesystem: [UInt8])]
  {
    try read { db in
      try db.all(
        "SELECT path, filesystem FROM folder_directory WHERE folder = ? ORDER BY path",
        [.folder(folder)]
      ) { (try $0.bytes(0), try $0.bytes(1)) }
    }
  }

  /// Nil forgets the directory.
  package func setDirectoryFilesystem(
    _ folder: FolderID, _ path: [UInt8], _ filesystem: [UInt8]?
  ) throws(StoreError) {
    try write { db in
      if let filesystem {
        try db.run(
          """
          INSERT INTO folder_directory (folder, path, filesystem) VALUES (?, coalesce(?, x''), coalesce(?, x''))
          ON CONFLICT DO UPDATE SET filesystem = excluded.filesystem
          """, [.folder(folder), .bytes(path), .bytes(filesystem)])
      } else {
        try db.run(
          "DELETE FROM folder_directory WHERE folder = ? AND path = coalesce(?, x'')",
          [.folder(folder), .bytes(path)])
      }
    }
  }

  package func file(_ folder: FolderID, _ path: [UInt8]) throws(StoreError) -> LedgerFile? {
    try read { db in
      try db.row(
        "SELECT \(LedgerCoding.columns) FROM file WHERE folder = ? AND path = ?",
        [.folder(folder), .bytes(path)]
      )?.ledgerFile()
    }
  }

  /// Steps over each subdirectory by one seek, so that a rescan of a whole tree costs its files and directories once.
  package func files(_ folder: FolderID, in directory: [UInt8]) throws(StoreError) -> [LedgerFile] {
    try read { db in
      let range = PathRange(below: directory)
      var start = range.start
      var files: [LedgerFile] = []
      segments: while true {
        let cursor = try db.rows(
          """
          SELECT \(LedgerCoding.columns) FROM file
          WHERE folder = ? AND path >= coalesce(?, x'')\(range.bound) ORDER BY path
          """, [.folder(folder), .bytes(start)] + range.end)
        while let row = try cursor.next() {
          let file = try row.ledgerFile()
          let rest = file.path.dropFirst(range.start.count)
          if let slash = rest.firstIndex(of: PathRange.slash) {
            start = file.path[..<slash] + [PathRange.slash + 1]
            continue segments
          }
          files.append(file)
        }
        return files
      }
    }
  }

  package func files(_ folder: FolderID, after: [UInt8]?, limit: Int) throws(StoreError)
    -> [LedgerFile]
  {
    try files(folder, below: [], after: after, limit: limit)
  }

  package func files(
    _ folder: FolderID, below directory: [UInt8], after: [UInt8]?, limit: Int
  ) throws(StoreError) -> [LedgerFile] {
    try read { db in
      let range = PathRange(below: directory)
      let start = after.map { max(range.start, $0, by: PathRange.isLess) } ?? range.start
      return try db.all(
        """
        SELECT \(LedgerCoding.columns) FROM file
        WHERE folder = ? AND path > coalesce(?, x'')\(range.bound) ORDER BY path LIMIT ?
        """, [.folder(folder), .bytes(start)] + range.end + [.int(limit)]
      ) { try $0.ledgerFile() }
    }
  }

  package func filePaths(_ folder: FolderID, after: [UInt8]?, limit: Int) throws(StoreError) -> [[UInt8]] {
    try read { db in
      try db.all(
        "SELECT path FROM file WHERE folder = ? AND path > coalesce(?, x'') ORDER BY path LIMIT ?",
        [.folder(folder), .bytes(after ?? []), .int(limit)]
      ) { try $0.bytes(0) }
    }
  }

  package func putFiles(_ files: [LedgerFile]) throws(StoreError) {
    try write { db in try put(files, db) }
  }

  package func removeFiles(_ files: [(folder: FolderID, path: [UInt8])]) throws(StoreError) {
    try write { db in
      var change = FileCountChange()
      for (folder, path) in files {
        guard let status = try Self.status(folder, path, db) else { continue }
        try db.run(
          "DELETE FROM file WHERE folder = ? AND path = ?", [.folder(folder), .bytes(path)])
        change.note(folder, from: status, to: nil)
      }
      try change.save(db)
    }
  }

  package func linkedFiles(inode: UInt64) throws(StoreError) -> [LedgerFile] {
    try read { db in
      try db.all(
        "SELECT \(LedgerCoding.columns) FROM file WHERE inode = ? AND links > 1 ORDER BY folder, path",
        [.bits(inode)]
      ) { try $0.ledgerFile() }
    }
  }

  package func ownFiles(of content: ContentID) throws(StoreError) -> [LedgerFile] {
    try read { db in
      try db.all(
        "SELECT \(LedgerCoding.columns) FROM file WHERE content = ? AND status IN (0, 1) ORDER BY folder, path",
        [.id(content)]
      ) { try $0.ledgerFile() }
    }
  }

  package func heldOwnFiles(of content: ContentID) throws(StoreError) -> [LedgerFile] {
    try read { db in
      try db.all(
        """
        SELECT \(LedgerCoding.columns) FROM file f CROSS JOIN folder d ON d.id = f.folder
        WHERE f.content = ? AND \(Self.isHeldFile) ORDER BY f.folder, f.path
        """, [.id(content)]
      ) { try $0.ledgerFile() }
    }
  }

  /// `verified`: when the contents were hashed; nil leaves that as it is.
  func put(_ files: [LedgerFile], verified: WallTime? = nil, _ db: Database) throws {
    var change = FileCountChange()
    for file in files {
      change.note(
        file.folder, from: try Self.status(file.folder, file.path, db), to: LedgerCoding.code(file.status))
      try put(file, verified: verified, db)
    }
    try change.save(db)
  }

  private static func status(_ folder: FolderID, _ path: [UInt8], _ db: Database) throws -> Int64? {
    try db.row("SELECT status FROM file WHERE folder = ? AND path = ?", [.folder(folder), .bytes(path)])?
      .integer(0)
  }

  private func put(_ file: LedgerFile, verified: WallTime?, _ db: Database) throws {
    try db.run(
      """
      INSERT INTO file (folder, path, size, mtime, ctime, inode, device, status, reason, errno, content, manifest, changes,
        links, changes_since, is_accepted, verified)
      VALUES (?1, coalesce(?2, x''), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, coalesce(?17, 0))
      ON CONFLICT DO UPDATE SET size = excluded.size, mtime = excluded.mtime, ctime = excluded.ctime,
        inode = excluded.inode, device = excluded.device, status = excluded.status, reason = excluded.reason,
        errno = excluded.errno, content = excluded.content, manifest = excluded.manifest, changes = excluded.changes,
        links = excluded.links, changes_since = excluded.changes_since, is_accepted = excluded.is_accepted,
        verified = coalesce(?17, verified)
      """,
      [.folder(file.folder), .bytes(file.path)] + LedgerCoding.values(of: file.stamp)
        + LedgerCoding.values(of: file.status) + [
          .digest(file.content?.digest), .digest(file.manifest), .int(file.changes),
          .bits(file.stamp.linkCount), .int(file.changesSince.nanoseconds), .flag(file.isAccepted),
          verified.map { .int($0.nanoseconds) } ?? .null,
        ])
  }
}

/// What a write does to the numbers of `file_count`, told in one statement for each of them.
///
/// A trigger would tell it for each row, and a statement with a trigger keeps what its pages had before, in case it has to take
/// half of its work back: five pages written to a temporary file for each row of a bulk.
private struct FileCountChange {
  private struct Key: Hashable {
    var folder: FolderID
    var status: Int64
  }

  private var files: [Key: Int] = [:]

  /// A row had a status (nil: was not there), and has another (nil: is not there).
  mutating func note(_ folder: FolderID, from former: Int64?, to status: Int64?) {
    guard former != status else { return }
    if let former { files[Key(folder: folder, status: former), default: 0] -= 1 }
    if let status { files[Key(folder: folder, status: status), default: 0] += 1 }
  }

  /// Throws what SQLite says when a number would become less than 0.
  func save(_ db: Database) throws {
    for (key, change) in files where change != 0 {
      let values: [SQLValue] = [.folder(key.folder), .int(key.status), .int(change)]
      try db.run(
        "INSERT OR IGNORE INTO file_count (folder, status, files) VALUES (?, ?, 0)", Array(values.prefix(2)))
      try db.run("UPDATE file_count SET files = files + ?3 WHERE folder = ?1 AND status = ?2", values)
    }
  }
}

/// The paths below a directory, as a range of bytes.
private struct PathRange {
  static let slash = UInt8(ascii: "/")

  /// The directory and a slash; empty for the root. No path is equal to it.
  var start: [UInt8]
  /// The condition that ends the range, and its value: the first byte string above all of them. The root has none. A
  /// condition for both cases in one, by NULL, would be no bound of the index: SQLite would step over all later rows.
  let bound: String
  let end: [SQLValue]

  init(below directory: [UInt8]) {
    start = directory.isEmpty ? [] : directory + [Self.slash]
    bound = directory.isEmpty ? "" : " AND path < ?"
    end = directory.isEmpty ? [] : [.bytes(directory + [Self.slash + 1])]
  }

  static func isLess(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.lexicographicallyPrecedes(right)
  }
}

private func max(_ left: [UInt8], _ right: [UInt8], by isLess: ([UInt8], [UInt8]) -> Bool) -> [UInt8] {
  isLess(left, right) ? right : left
}
