internal import GRDB
package import MantelCore

/// Files of one folder by status.
package struct FolderCounts: Hashable, Sendable {
  package var folder: FolderID
  package var published: Int
  package var pending: Int
  package var skipped: Int

  package var seen: Int { published + pending + skipped }
}

/// Where a page of ledger files ended.
package struct FilePosition: Hashable, Sendable {
  package var folder: FolderID
  package var path: [UInt8]

  package init(folder: FolderID, path: [UInt8]) {
    self.folder = folder
    self.path = path
  }
}

extension Catalog {
  /// One row a folder that has files, by folder id.
  package func folderCounts() throws(StoreError) -> [FolderCounts] {
    try read { db in
      try db.all(
        """
        SELECT folder, sum(files * (status = 1)), sum(files * (status = 0)), sum(files * (status = 2))
        FROM file_count GROUP BY folder HAVING sum(files) > 0 ORDER BY folder
        """
      ) { row in
        FolderCounts(
          folder: try row.folder(0), published: Int(try row.integer(1)),
          pending: Int(try row.integer(2)), skipped: Int(try row.integer(3)))
      }
    }
  }

  /// Skipped files with their reasons, by folder and path.
  package func skippedFiles(after: FilePosition? = nil, limit: Int) throws(StoreError)
    -> [LedgerFile]
  {
    try unpublished(LedgerCoding.skipped, after, limit)
  }

  /// Pending files with their reasons, by folder and path.
  package func pendingFiles(after: FilePosition? = nil, limit: Int) throws(StoreError)
    -> [LedgerFile]
  {
    try unpublished(LedgerCoding.pending, after, limit)
  }

  private func unpublished(_ status: Int64, _ after: FilePosition?, _ limit: Int)
    throws(StoreError) -> [LedgerFile]
  {
    try read { db in
      try db.all(
        """
        SELECT \(LedgerCoding.columns) FROM file INDEXED BY file_unpublished
        WHERE status <> 1 AND status = ? AND (folder, path) > (coalesce(?, x''), coalesce(?, x''))
        ORDER BY folder, path LIMIT ?
        """,
        [.int(status), .bytes(after?.folder.bytes ?? []), .bytes(after?.path ?? []), .int(limit)]
      ) { try $0.ledgerFile() }
    }
  }

  /// How many own files are published, over all folders.
  package func publishedFiles() throws(StoreError) -> Int {
    try folderCounts().reduce(0) { $0 + $1.published }
  }

  /// Published own files that have one of the contents.
  package func publishedFileCount(of contents: [ContentID]) throws(StoreError) -> Int {
    try read { db in
      var count: Int64 = 0
      for content in contents {
        count +=
          try db.row(
            "SELECT count(*) FROM file INDEXED BY file_by_content WHERE content = ? AND status = 1",
            [.id(content)]
          )?.integer(0) ?? 0
      }
      return Int(count)
    }
  }

  /// Every published own file with its content and size, by content: files of one content follow each other. Returning
  /// false ends the walk.
  package func forEachPublishedOwnFile(
    _ body: (_ folder: FolderID, _ path: [UInt8], _ content: ContentID, _ size: UInt64) -> Bool
  ) throws(StoreError) {
    typealias Item = (position: FilePosition, content: ContentID, size: UInt64)
    var last: Item?
    while true {
      let page: [Item] = try read { db in
        // The rest of the content that the last page ended in, then the others.
        var page: [Item] = []
        for (condition, values) in Self.following(last.map { ($0.content, $0.position) }) {
          page += try db.all(
            """
            SELECT folder, path, content, size FROM file INDEXED BY file_by_content
            WHERE status = 1 AND \(condition) ORDER BY content, status, folder, path LIMIT ?
            """, values + [.int(Self.scanPage - page.count)]
          ) { row in
            (
              FilePosition(folder: try row.folder(0), path: try row.bytes(1)), try row.id(2),
              try row.bits(3)
            )
          }
        }
        return page
      }
      for item in page {
        guard body(item.position.folder, item.position.path, item.content, item.size) else {
          return
        }
      }
      guard page.count == Self.scanPage else { return }
      last = page.last
    }
  }

  private static func following(_ last: (ContentID, FilePosition)?) -> [(
    String, [SQLValue]
  )] {
    guard let (content, position) = last else { return [("content IS NOT NULL", [])] }
    return [
      (
        "content = ? AND (folder, path) > (?, ?)",
        [.id(content), .folder(position.folder), .bytes(position.path)]
      ),
      ("content > ?", [.id(content)]),
    ]
  }

  /// The ledger row of an absolute path, if it lies in a folder that is not removed.
  package func ownFile(atAbsolutePath path: [UInt8]) throws(StoreError) -> LedgerFile? {
    for folder in try folders() where !folder.isRemoved {
      let root = folder.root.last == UInt8(ascii: "/") ? folder.root : folder.root + [UInt8(ascii: "/")]
      guard path.count > root.count, path.starts(with: root) else { continue }
      if let file = try file(folder.id, Array(path.dropFirst(root.count))) { return file }
    }
    return nil
  }
}
