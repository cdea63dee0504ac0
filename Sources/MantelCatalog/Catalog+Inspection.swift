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
}
