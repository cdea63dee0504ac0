internal import GRDB
package import MantelCore

/// An own file, and the root of its folder.
package struct OwnSource: Hashable, Sendable {
  package var root: [UInt8]
  package var file: LedgerFile
}

/// Files here that have one content.
package struct ContentFiles: Hashable, Sendable {
  package var replica: [ReplicaFile]
  package var own: [OwnSource]

  init(replica: [ReplicaFile], own: [OwnSource]) {
    self.replica = replica
    self.own = own
    if replica.count > 1 { self.replica.sort { $0.path.lexicographicallyPrecedes($1.path) } }
    guard own.count > 1 else { return }
    self.own.sort {
      $0.file.folder == $1.file.folder
        ? $0.file.path.lexicographicallyPrecedes($1.file.path) : $0.file.folder < $1.file.folder
    }
  }
}

/// Rows of `replica_file` to values and back.
enum ReplicaCoding {
  static let columns =
    "m.id, r.entry, r.content, r.path, r.size, r.mtime, r.ctime, r.inode, r.device, r.verified, r.mark, r.trashed"
  static let columnCount = 12
  static let tables = "replica_file r JOIN machine m ON m.ref = r.library"
}

extension ResultRow {
  func replicaFile() throws -> ReplicaFile {
    ReplicaFile(
      library: try id(0), entry: try id(1), content: try id(2), path: try bytes(3),
      stamp: try stamp(4), verified: WallTime(nanoseconds: try integer(9)), mark: try dropMark(10))
  }
}

extension Catalog {
  package func replicaFiles(of content: ContentID) throws(StoreError) -> [ReplicaFile] {
    try read { db in
      try db.all(
        "SELECT \(ReplicaCoding.columns) FROM \(ReplicaCoding.tables) WHERE r.content = ? ORDER BY r.path",
        [.id(content)]
      ) { try $0.replicaFile() }
    }
  }

  /// What bytes of contents can be read from here, a value for each, in their order: replica files by path, and own ones by folder
  /// and path, with the root of their folder. From one snapshot: a transaction costs more than the look at a content.
  package func sources(of contents: [ContentID]) throws(StoreError) -> [ContentFiles] {
    guard !contents.isEmpty else { return [] }
    return try read { db in
      try contents.map { content in
        ContentFiles(
          replica: try db.all(Self.replicaSources, [.id(content)]) { try $0.replicaFile() },
          own: try db.all(Self.ownSources, [.id(content)]) {
            OwnSource(root: try $0.bytes(LedgerCoding.columnCount), file: try $0.ledgerFile())
          })
      }
    }
  }

  // Without an order: SQLite sets up a sorter even for the one file that a content mostly has.
  private static let replicaSources =
    "SELECT \(ReplicaCoding.columns) FROM \(ReplicaCoding.tables) WHERE r.content = ?"
  private static let ownSources = """
    SELECT \(LedgerCoding.columns), d.root FROM file f CROSS JOIN folder d ON d.id = f.folder
    WHERE f.content = ? AND f.status IN (0, 1) AND d.is_removed = 0
    """

  package func replicaFile(at path: [UInt8]) throws(StoreError) -> ReplicaFile? {
    try read { db in
      try db.row(
        "SELECT \(ReplicaCoding.columns) FROM \(ReplicaCoding.tables) WHERE r.path = ?",
        [.bytes(path)]
      )?.replicaFile()
    }
  }

  static func content(at path: [UInt8], _ db: Database) throws -> ContentID? {
    try db.row("SELECT content FROM replica_file WHERE path = ?", [.bytes(path)])?.id(0)
  }

  /// `library`: the number of the file's library. Returns the content that had the path before.
  static func put(_ file: ReplicaFile, of library: Int64, _ db: Database) throws -> ContentID? {
    let values =
      [.bytes(file.path), .int(library), .id(file.entry), .id(file.content)]
      + LedgerCoding.values(of: file.stamp) + [.int(file.verified.nanoseconds)]
      + ReplicaCoding.values(of: file.mark)
    let columns =
      "(path, library, entry, content, size, mtime, ctime, inode, device, verified, mark, trashed)"
    // Most paths are new: one look at the index tells, and takes the row.
    try db.run(
      "INSERT INTO replica_file \(columns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        + "ON CONFLICT (path) DO NOTHING",
      values)
    if db.changesCount > 0 { return nil }
    let before = try content(at: file.path, db)
    try db.run(
      """
      UPDATE replica_file SET library = ?2, entry = ?3, content = ?4, size = ?5, mtime = ?6, ctime = ?7, inode = ?8,
        device = ?9, verified = ?10, mark = ?11, trashed = ?12
      WHERE path = ?1
      """, values)
    return before
  }

  package func directoryName(_ library: MachineID, _ folder: FolderID?) throws(StoreError)
    -> String?
  {
    try read { db in
      guard let ref = try Self.ref(of: library, db) else { return nil }
      return try Self.directoryName(ref, folder, db)
    }
  }

  /// Names stay: throws `constraint` for another name than the one that is remembered, and for a name that another
  /// directory beside it has.
  package func setDirectoryName(_ library: MachineID, _ folder: FolderID?, _ name: String)
    throws(StoreError)
  {
    try writeOrRefuse { db in
      let ref = try Self.ensureRef(of: library, db)
      if let chosen = try Self.directoryName(ref, folder, db) {
        guard chosen == name else { throw StoreError.refused("the directory has another name") }
        return
      }
      try db.run(
        "INSERT INTO directory_name (machine, folder, name) VALUES (?, coalesce(?, x''), ?)",
        [.int(ref), .bytes(folder?.bytes ?? []), .text(name)])
    }
  }

  /// Names of the folders of a library; of the machines' own directories for nil.
  package func directoryNames(_ library: MachineID?) throws(StoreError) -> [String] {
    try read { db in
      guard let library else {
        return try db.all(
          "SELECT name FROM directory_name WHERE length(folder) = 0 ORDER BY name"
        ) { try $0.text(0) }
      }
      guard let ref = try Self.ref(of: library, db) else { return [] }
      return try db.all(
        "SELECT name FROM directory_name WHERE machine = ? AND length(folder) > 0 ORDER BY name",
        [.int(ref)]
      ) { try $0.text(0) }
    }
  }

  private static func directoryName(_ ref: Int64, _ folder: FolderID?, _ db: Database) throws
    -> String?
  {
    try db.row(
      "SELECT name FROM directory_name WHERE machine = ? AND folder = coalesce(?, x'')",
      [.int(ref), .bytes(folder?.bytes ?? [])]
    )?.text(0)
  }
}

// MARK: - Contents on their way

extension Catalog {
  private static let partialColumns =
    "p.content, p.manifest, b.blocks FROM partial p JOIN partial_blocks b ON b.content = p.content"

  package func partial(_ content: ContentID) throws(StoreError) -> PartialContent? {
    try read { db in
      try db.row("SELECT \(Self.partialColumns) WHERE p.content = ?", [.id(content)])?
        .partialContent()
    }
  }

  package func partials() throws(StoreError) -> [PartialContent] {
    try read { db in
      try db.all("SELECT \(Self.partialColumns) ORDER BY p.content") { try $0.partialContent() }
    }
  }

  package func putPartial(_ partial: PartialContent) throws(StoreError) {
    try write { db in
      let manifest = partial.manifest.bytes
      let stored = try db.row(
        "SELECT manifest FROM partial WHERE content = ?", [.id(partial.content)])
      if try stored?.bytes(0) != manifest {
        try db.run(
          """
          INSERT INTO partial (content, manifest) VALUES (?, ?)
          ON CONFLICT DO UPDATE SET manifest = excluded.manifest
          """, [.id(partial.content), .bytes(manifest)])
      }
      try db.run(
        """
        INSERT INTO partial_blocks (content, blocks) VALUES (?, coalesce(?, x''))
        ON CONFLICT DO UPDATE SET blocks = excluded.blocks
        """, [.id(partial.content), .bytes(partial.blocks)])
    }
  }

  package func removePartial(_ content: ContentID) throws(StoreError) {
    try write { db in try db.run("DELETE FROM partial WHERE content = ?", [.id(content)]) }
  }
}

// MARK: - The trash

extension Catalog {
  package func restartTrash(of contents: [ContentID], at time: AgentTime) throws(StoreError) {
    guard !contents.isEmpty else { return }
    try write { db in
      for content in contents {
        try db.run(
          "UPDATE replica_file SET trashed = ?1 WHERE content = ?2 AND trashed IS NOT NULL AND trashed < ?1",
          [.int(time.nanoseconds), .id(content)])
      }
    }
  }
}

extension ResultRow {
  fileprivate func partialContent() throws -> PartialContent {
    PartialContent(
      content: try id(0), manifest: try Manifest(bytes: try bytes(1)), blocks: try bytes(2))
  }
}
