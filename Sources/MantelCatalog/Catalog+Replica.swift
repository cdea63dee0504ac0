internal import GRDB
package import MantelCore

/// Rows of `replica_file` to values and back.
enum ReplicaCoding {
  static let columns =
    "m.id, r.entry, r.content, r.path, r.size, r.mtime, r.ctime, r.inode, r.device, r.verified"
  static let tables = "replica_file r JOIN machine m ON m.ref = r.library"
}

extension Row {
  func replicaFile() throws -> ReplicaFile {
    ReplicaFile(
      library: try id(0), entry: try id(1), content: try id(2), path: try bytes(3),
      stamp: try stamp(4), verified: WallTime(nanoseconds: try integer(9)))
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

  static func put(_ file: ReplicaFile, _ db: Database) throws {
    try db.run(
      """
      INSERT INTO replica_file (path, library, entry, content, size, mtime, ctime, inode, device, verified)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (path) DO UPDATE SET library = excluded.library, entry = excluded.entry, content = excluded.content,
        size = excluded.size, mtime = excluded.mtime, ctime = excluded.ctime, inode = excluded.inode,
        device = excluded.device, verified = excluded.verified
      """,
      [
        .bytes(file.path), .int(try ensureRef(of: file.library, db)), .id(file.entry),
        .id(file.content),
      ] + LedgerCoding.values(of: file.stamp) + [.int(file.verified.nanoseconds)])
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
    try write { db in
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

extension Row {
  fileprivate func partialContent() throws -> PartialContent {
    PartialContent(
      content: try id(0), manifest: try Manifest(bytes: try bytes(1)), blocks: try bytes(2))
  }
}
