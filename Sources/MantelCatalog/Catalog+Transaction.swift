internal import GRDB
package import MantelCore

/// The transaction that the current task has open on a catalog.
struct OpenTransaction: @unchecked Sendable {
  @TaskLocal static var current: OpenTransaction?

  let catalog: ObjectIdentifier
  /// Used only by the code that `atomically` calls, on the thread that holds the writing connection: a value that
  /// leaves that code, in a task that it starts, must not be used.
  let connection: Database
}

extension Catalog {
  /// Takes the writing connection for as long as `body` runs, so that all reads find its warm pages, and there is one
  /// commit at the end. A write of `body` that throws is taken back alone: who catches the error may go on.
  package func atomically<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
    if transaction != nil { return try body() }
    do {
      return try database.writeWithoutTransaction { db in
        var value: Value?
        // Deferred: an event that only reads, or asks nothing at all, takes no lock.
        try db.inTransaction(.deferred) {
          value = try OpenTransaction.$current.withValue(
            OpenTransaction(catalog: ObjectIdentifier(self), connection: db)
          ) { try body() }
          return .commit
        }
        guard let value else { preconditionFailure("a transaction that was committed without its body") }
        return value
      }
    } catch {
      throw StoreError(mapping: error)
    }
  }

  /// The connection with the transaction that the caller runs in, if it runs in one.
  private var transaction: Database? {
    guard let open = OpenTransaction.current, open.catalog == ObjectIdentifier(self) else { return nil }
    return open.connection
  }

  /// A read from one snapshot: of the open transaction, with what it wrote, or of what was committed last.
  func read<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
    do {
      if let transaction { return try body(transaction) }
      return try hasOneConnection ? database.unsafeRead(body) : database.read(body)
    } catch { throw StoreError(mapping: error) }
  }

  /// One transaction, or a part of the open one; nothing of it is kept when the body throws.
  func write<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
    do {
      guard let transaction else { return try database.write(body) }
      var value: Value?
      try transaction.inSavepoint {
        value = try body(transaction)
        return .commit
      }
      guard let value else { preconditionFailure("a savepoint that was released without its body") }
      return value
    } catch { throw StoreError(mapping: error) }
  }
}
