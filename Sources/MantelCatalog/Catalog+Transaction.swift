internal import GRDB
package import MantelCore

/// The transaction that the current task has open on a catalog.
struct OpenTransaction: @unchecked Sendable {
  @TaskLocal static var current: OpenTransaction?

  let catalog: ObjectIdentifier
  /// Used only by the code that `atomically` calls, on the thread that holds the writing connection: a value that
  /// leaves that code, in a task that it starts, must not be used.
  let connection: Database
  let failure = Failure()

  /// The first write that threw, maybe with half of its work done.
  final class Failure {
    var first: StoreError?
  }
}

extension Catalog {
  /// Takes the writing connection for as long as `body` runs, so that all reads find its warm pages, and there is one
  /// commit at the end. Nothing is kept after a write that threw, whoever catches that: only what `writeOrRefuse` makes is
  /// taken back alone.
  package func atomically<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
    if transaction != nil { return try body() }
    do {
      return try database.writeWithoutTransaction { db in
        var value: Value?
        // Deferred: an event that only reads, or asks nothing at all, takes no lock.
        try db.inTransaction(.deferred) {
          let open = OpenTransaction(catalog: ObjectIdentifier(self), connection: db)
          value = try OpenTransaction.$current.withValue(open) { try body() }
          if let error = open.failure.first { throw error }
          return .commit
        }
        guard let value else { preconditionFailure("a transaction that was committed without its body") }
        return value
      }
    } catch {
      throw StoreError(mapping: error)
    }
  }

  /// The transaction that the caller runs in, if it runs in one.
  private var transaction: OpenTransaction? {
    guard let open = OpenTransaction.current, open.catalog == ObjectIdentifier(self) else { return nil }
    return open
  }

  /// A read from one snapshot: of the open transaction, with what it wrote, or of what was committed last.
  func read<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
    do {
      if let transaction { return try body(transaction.connection) }
      return try hasOneConnection ? database.unsafeRead(body) : database.read(body)
    } catch { throw StoreError(mapping: error) }
  }

  /// One transaction, or a part of the open one, which fails as a whole when the body throws: without a savepoint SQLite need not
  /// copy each page that changes, beyond 64 KiB of them to a temporary file. That was a third of what a batch of files cost.
  func write<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
    guard let transaction else { return try writeAlone(body) }
    do { return try body(transaction.connection) } catch {
      let failure = StoreError(mapping: error)
      if transaction.failure.first == nil { transaction.failure.first = failure }
      throw failure
    }
  }

  /// The same for what may be refused: nothing of it is kept when the body throws, and who catches that may go on.
  func writeOrRefuse<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
    guard let connection = transaction?.connection else { return try writeAlone(body) }
    do {
      var value: Value?
      try connection.inSavepoint {
        value = try body(connection)
        return .commit
      }
      guard let value else { preconditionFailure("a savepoint that was released without its body") }
      return value
    } catch { throw StoreError(mapping: error) }
  }

  private func writeAlone<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
    do { return try database.write(body) } catch { throw StoreError(mapping: error) }
  }
}
