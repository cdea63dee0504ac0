internal import GRDB
internal import MantelCore

extension Catalog {
  /// Runs one statement on the writing connection, outside of a transaction; returns its first column. Internal, for
  /// tests that look at the connection's set-up or damage a file on purpose.
  @discardableResult
  func inspect(_ sql: String) throws(StoreError) -> [String] {
    do {
      return try database.writeWithoutTransaction { db in
        try Row.fetchAll(db, sql: sql).map { row in
          (row[0] as (any DatabaseValueConvertible)?).map { "\($0)" } ?? "NULL"
        }
      }
    } catch {
      throw StoreError(mapping: error)
    }
  }

  /// The migrations, in their order.
  static var migrations: [String] { CatalogSchema.migrator.migrations }

  /// Makes a file as an earlier version left it: its first migrations, and rows of that time. Internal, for tests.
  static func makeEarlier(at path: String, migrations count: Int, _ statements: String) throws(StoreError) {
    do {
      let queue = try DatabaseQueue(path: path)
      try CatalogSchema.migrator.migrate(queue, upTo: migrations[count - 1])
      try queue.write { db in try db.execute(sql: statements) }
      try queue.close()
    } catch {
      throw StoreError(mapping: error)
    }
  }
}
