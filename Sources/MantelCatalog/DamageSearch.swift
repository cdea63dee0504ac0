internal import GRDB
import Synchronization

/// A search of a catalog's file for damage, which can be stopped: SQLite looks at the whole file in one statement, for minutes
/// where the file is large and the disk slow. On a connection of its own, so that nothing else is interrupted.
package final class DamageSearch: Sendable {
  private struct State {
    var isStopped = false
    /// While it runs.
    var connection: DatabaseQueue?
  }

  private let state = Mutex(State())

  package init() {}

  package var isStopped: Bool { state.withLock { $0.isStopped } }

  /// From any thread, at any time: what runs ends soon, by an error, and nothing is begun any more.
  package func stop() {
    state.withLock {
      $0.isStopped = true
      $0.connection?.interrupt()
    }
  }

  /// `whenBegun`: for a test, after the last moment at which a stop would be seen without an interrupt.
  func run(at path: String, whenBegun: () -> Void = {}) throws -> [String] {
    var configuration = Catalog.configuration
    configuration.readonly = true
    let connection = try DatabaseQueue(path: path, configuration: configuration)
    state.withLock { $0.connection = connection }
    defer { state.withLock { $0.connection = nil } }
    return try connection.unsafeRead { db in
      // SQLite forgets an interrupt while no statement is under way: this one is, from before the question whether to stop.
      let held = try db.rows("VALUES (1), (2)")
      _ = try held.next()
      guard !isStopped else { throw DatabaseError(resultCode: .SQLITE_INTERRUPT, message: "stopped") }
      whenBegun()
      return try withExtendedLifetime(held) { try Self.findings(db) }
    }
  }

  static func findings(_ db: Database) throws -> [String] {
    try db.all("PRAGMA quick_check") { try $0.text(0) }.filter { $0 != "ok" }
  }
}
