internal import GRDB
package import MantelCore

// What the command line asks: read-only, from a snapshot, on any thread. Lists are paged by a position that the page
// before returned, so that none is ever whole in memory.

/// Which entries a listing shows.
package struct EntryStates: OptionSet, Hashable, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let live = EntryStates(rawValue: 1)
  package static let retired = EntryStates(rawValue: 2)
  package static let unheld = EntryStates(rawValue: 4)
  package static let dropped = EntryStates(rawValue: 8)
  package static let all: EntryStates = [.live, .retired, .unheld, .dropped]
}

/// Where a page of a listing ended.
package struct EntryPosition: Hashable, Sendable {
  fileprivate var library: Int64
  fileprivate var folder: FolderID
  fileprivate var path: [UInt8]
  fileprivate var ref: Int64
}

extension FilePosition {
  /// For a caller that asks for the next page over a text protocol.
  package var text: String { PositionText.write([folder.bytes, path]) }

  package init?(text: String) {
    guard let fields = PositionText.read(text), fields.count == 2, let folder = FolderID(fields[0])
    else { return nil }
    self.init(folder: folder, path: fields[1])
  }
}

extension EntryPosition {
  /// For a caller that asks for the next page over a text protocol.
  package var text: String {
    PositionText.write([
      Array(String(library).utf8), folder.bytes, path, Array(String(ref).utf8),
    ])
  }

  package init?(text: String) {
    guard let fields = PositionText.read(text), fields.count == 4,
      let library = Int64(String(decoding: fields[0], as: UTF8.self)),
      let folder = FolderID(fields[1]), let ref = Int64(String(decoding: fields[3], as: UTF8.self))
    else { return nil }
    self.init(library: library, folder: folder, path: fields[2], ref: ref)
  }
}

/// Byte strings as hexadecimal digits with dots between them.
private enum PositionText {
  static func write(_ fields: [[UInt8]]) -> String {
    fields.map { $0.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
      .joined(separator: ".")
  }

  static func read(_ text: String) -> [[UInt8]]? {
    var fields: [[UInt8]] = []
    for field in text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
      let digits = field.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
      guard digits.count == field.count, digits.count % 2 == 0 else { return nil }
      fields.append(
        stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
    }
    return fields
  }
}

/// What the catalog knows of one content.
package struct Whereabouts: Hashable, Sendable {
  /// Entries of any state that name it, over all libraries, closed ones too.
  package var entries: [InstalledEntry]
  package var ownFiles: [LedgerFile]
  package var replicaFiles: [ReplicaFile]
}

/// An installed library at a glance.
package struct LibraryTotals: Hashable, Sendable {
  package var library: MachineID
  package var order: HeadOrder
  package var counts: LibraryCounts
  package var isClosed: Bool
}

/// A head that this machine published, or took over as its own.
package struct PublishedHead: Hashable, Sendable {
  package var library: MachineID
  package var order: HeadOrder
  package var root: Digest256
}

extension Catalog {
  package func whereabouts(of content: ContentID) throws(StoreError) -> Whereabouts {
    let entries = try read { db in
      try db.all(
        """
        SELECT m.id, \(EntryCoding.columns)
        FROM library l CROSS JOIN machine m ON m.ref = l.machine
          CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
        WHERE e.content = ? AND \(EntryCoding.isInstalled)
        ORDER BY m.id, e.id
        """, [.id(content)]
      ) { row in
        let (id, entry) = try row.entry(1)
        return InstalledEntry(library: try row.id(0), id: id, entry: entry)
      }
    }
    return Whereabouts(
      entries: entries, ownFiles: try ownFiles(of: content),
      replicaFiles: try replicaFiles(of: content))
  }

  /// Contents whose hexadecimal name starts with some digits, up to `limit`: for people who type 8 of them.
  package func contents(from first: ContentID, through last: ContentID, limit: Int)
    throws(StoreError) -> [ContentID]
  {
    try read { db in
      try db.all(
        """
        SELECT DISTINCT e.content
        FROM library l CROSS JOIN entry e INDEXED BY entry_by_content ON e.library = l.machine
        WHERE e.content BETWEEN ? AND ? AND \(EntryCoding.isInstalled) LIMIT ?
        """, [.id(first), .id(last), .int(limit)]
      ) { try $0.id(0) }
    }
  }

  /// Entries of the installed views by library, folder and path; `library` nil: of all open libraries. The position is
  /// that of the last entry, nil when the page is the last.
  package func entries(
    of library: MachineID? = nil, states: EntryStates, after: EntryPosition? = nil, limit: Int
  ) throws(StoreError) -> (entries: [InstalledEntry], next: EntryPosition?) {
    try read { db in
      let libraries = try db.all(
        """
        SELECT l.machine, m.id FROM library l JOIN machine m ON m.ref = l.machine
        WHERE CASE WHEN ?1 IS NULL THEN l.is_closed = 0 ELSE m.id = ?1 END AND l.machine >= ?2
        ORDER BY l.machine
        """, [.digest(library?.digest), .int(after?.library ?? 0)]
      ) { (ref: try $0.integer(0), id: MachineID(try $0.digest(1))) }
      var page: [InstalledEntry] = []
      var last: EntryPosition?
      for (ref, id) in libraries where page.count < limit {
        let start = after?.library == ref ? after : nil
        for (position, found) in try Self.entries(ref, states, start, limit - page.count, db) {
          page.append(InstalledEntry(library: id, id: found.id, entry: found.entry))
          last = position
        }
      }
      return (page, page.count == limit ? last : nil)
    }
  }

  private static func entries(
    _ ref: Int64, _ states: EntryStates, _ after: EntryPosition?, _ limit: Int, _ db: Database
  ) throws -> [(EntryPosition, (id: EntryID, entry: Entry))] {
    var result: [(EntryPosition, (id: EntryID, entry: Entry))] = []
    var ranges: [(String, [SQLValue])] = [("TRUE", [])]
    if let after {
      let (folder, path) = (SQLValue.folder(after.folder), SQLValue.bytes(after.path))
      ranges = [
        ("e.folder = ? AND e.path = coalesce(?, x'') AND e.ref > ?", [folder, path, .int(after.ref)]),
        ("(e.folder, e.path) > (?, coalesce(?, x''))", [folder, path]),
      ]
    }
    for (condition, values) in ranges where result.count < limit {
      result += try db.all(
        """
        SELECT e.ref, \(EntryCoding.columns)
        FROM entry e INDEXED BY entry_by_path CROSS JOIN library l ON l.machine = e.library
        WHERE e.library = ? AND \(condition) AND (? >> e.state) & 1 AND \(EntryCoding.isInstalled)
        ORDER BY e.folder, e.path, e.ref LIMIT ?
        """,
        [.int(ref)] + values + [.int(Int(states.rawValue)), .int(limit - result.count)]
      ) { row in
        let found = try row.entry(1)
        let position = EntryPosition(
          library: ref, folder: found.entry.folder, path: found.entry.path, ref: try row.integer(0))
        return (position, found)
      }
    }
    return result
  }

  /// Installed libraries, by machine.
  package func libraryTotals() throws(StoreError) -> [LibraryTotals] {
    try read { db in
      let machines = try db.all(
        "SELECT m.id FROM library l JOIN machine m ON m.ref = l.machine ORDER BY m.id"
      ) {
        MachineID(try $0.digest(0))
      }
      return try machines.compactMap { machine in
        guard let row = try self.library(machine, db), let order = row.installedOrder else {
          return nil
        }
        return LibraryTotals(
          library: machine, order: order, counts: row.counts, isClosed: row.isClosed)
      }
    }
  }

  /// Heads of a library that this machine published, in their order, above one of them.
  package func publishedHeads(
    of library: MachineID, after: HeadOrder = .none, limit: Int
  ) throws(StoreError) -> [PublishedHead] {
    try read { db in
      try db.all(
        """
        SELECT p.epoch, p.sequence, p.root
        FROM machine m CROSS JOIN published p ON p.library = m.ref
        WHERE m.id = ? AND (p.epoch, p.sequence) > (?, ?) ORDER BY p.epoch, p.sequence LIMIT ?
        """, [.id(library), .bits(after.epoch), .bits(after.sequence), .int(limit)]
      ) { row in
        PublishedHead(
          library: library, order: HeadOrder(epoch: try row.bits(0), sequence: try row.bits(1)),
          root: try row.digest(2))
      }
    }
  }

  /// The root that this machine published for an order, if it did: another root for it means a clone or a restore.
  package func publishedRoot(_ library: MachineID, _ order: HeadOrder) throws(StoreError)
    -> Digest256?
  {
    try read { db in
      try db.row(
        """
        SELECT p.root FROM published p JOIN machine m ON m.ref = p.library
        WHERE m.id = ? AND p.epoch = ? AND p.sequence = ?
        """, [.id(library), .bits(order.epoch), .bits(order.sequence)]
      )?.digest(0)
    }
  }
}

// MARK: - Replica files

extension Catalog {
  /// Replica files by path, of one library or of all: for `sums`, and for comparing all by stat.
  package func replicaFiles(
    of library: MachineID?, after path: [UInt8]? = nil, limit: Int
  ) throws(StoreError) -> [ReplicaFile] {
    try read { db in
      try db.all(
        """
        SELECT \(ReplicaCoding.columns) FROM replica_file r CROSS JOIN machine m ON m.ref = r.library
        WHERE r.path > coalesce(?1, x'') AND (?2 IS NULL OR m.id = ?2) ORDER BY r.path LIMIT ?3
        """, [.bytes(path ?? []), .digest(library?.digest), .int(limit)]
      ) { try $0.replicaFile() }
    }
  }

  /// When the replica file that was not hashed for longest was; nil without any.
  package func oldestVerification() throws(StoreError) -> WallTime? {
    try read { db in
      try db.row("SELECT verified FROM replica_file ORDER BY verified LIMIT 1").map {
        WallTime(nanoseconds: try $0.integer(0))
      }
    }
  }
}
