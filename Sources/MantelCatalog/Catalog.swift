internal import GRDB
package import MantelCore

/// The machine's catalog in one SQLite file: what `HouseholdStore` asks for, and what the command line reads.
///
/// Writes go through one connection, each a durable transaction (WAL, synchronous=FULL). Reads of a file catalog come
/// from snapshots on connections of their own and may be made on any thread at any time; within `HouseholdStore` a read
/// sees every write that returned before it. Callbacks are called outside of the database: they may call the catalog.
///
/// Keeping a second process away from the file, and the file's mode, are the caller's matter.
package final class Catalog: HouseholdStore, Sendable {
  let database: any DatabaseWriter
  /// The machine whose catalog this is: its library is never missing and never filed.
  package let machine: MachineID
  /// The machine's number in the tables.
  let ownRef: Int64
  /// There is one connection, for reads too: nobody else writes while it reads, so that it needs no snapshot. GRDB's would forbid
  /// writes by a pragma, after which SQLite prepares each statement anew: half the time of a simulation.
  let hasOneConnection: Bool

  /// Entries of one call from which on they are staged in bulk (`nextBulkPlace`).
  package let bulk: Int

  /// Kilobytes of page cache of the writing connection; while many entries come, which touch random pages of many indexes,
  /// it has more, until a head is installed.
  static let writerCacheKilobytes = 16 << 10
  static let bulkCacheKilobytes = 64 << 10
  /// Entries at once from which on that pays.
  package static let bulk = 4_096
  /// Pages (of 4 KiB) in the log before they are written to the file: while many rows come, the same pages are in it again
  /// and again, and are written there once.
  private static let checkpointPages = 8 << 10
  /// What is left of a log that was longer, as after the install of a large library.
  private static let journalBytes = 128 << 20
  /// Snapshots that can be read at once; a further reader waits.
  private static let readers = 4
  /// Machines that the catalog gives numbers to; those of earlier, closed households included.
  static let maximumMachines = 1_024

  /// Opens the catalog at a path, or makes one. Another machine than the one that it was last opened for (after a
  /// rekey) turns the old library into one of the others.
  package convenience init(
    path: String, machine: MachineID, bulk: Int = Catalog.bulk
  ) throws(CatalogOpenError) {
    do {
      try Self.refuseForeign(at: path)
      var configuration = Self.configuration
      configuration.maximumReaderCount = Self.readers
      let pool = try DatabasePool(path: path, configuration: configuration)
      try self.init(database: pool, machine: machine, bulk: bulk)
    } catch {
      throw CatalogOpenError(error)
    }
  }

  /// A catalog in memory that ends with this value: for tests and simulation. Readers wait for each other.
  package convenience init(
    inMemory machine: MachineID, bulk: Int = Catalog.bulk
  ) throws(CatalogOpenError) {
    do {
      let queue = try DatabaseQueue(configuration: Self.configuration)
      try Self.empty.get().backup(to: queue)
      try self.init(database: queue, machine: machine, bulk: bulk)
    } catch {
      throw CatalogOpenError(error)
    }
  }

  /// What every catalog in memory begins as: all migrations were a third of the time of the unit tests.
  private static let empty = Result {
    let queue = try DatabaseQueue(configuration: configuration)
    try CatalogSchema.migrator.migrate(queue)
    try queue.writeWithoutTransaction { db in
      try db.execute(sql: "PRAGMA application_id = \(CatalogSchema.applicationID)")
    }
    return queue
  }

  /// A copy of this moment, in memory: for simulation, of a state that is restored from a backup, or is another machine's from
  /// now on.
  package func copied(as other: MachineID? = nil) throws(StoreError) -> Catalog {
    do {
      let copy = try DatabaseQueue(configuration: Self.configuration)
      try database.backup(to: copy)
      return try Catalog(database: copy, machine: other ?? machine, bulk: bulk)
    } catch {
      throw StoreError(mapping: error)
    }
  }

  private init(database: any DatabaseWriter, machine: MachineID, bulk: Int) throws {
    try database.writeWithoutTransaction { db in
      try Self.refuseForeign(db)
      // The pool's own set-up chooses NORMAL, with which a power cut takes back what was announced.
      try db.execute(sql: "PRAGMA synchronous = FULL")
      // A name that is forgotten is overwritten where it stood. Pages that are freed as a whole keep what was there until they
      // are used again, as the blocks of a deleted file do: writing them once more would double what a large install costs.
      try db.execute(sql: "PRAGMA secure_delete = FAST")
      try Self.setCache(Self.writerCacheKilobytes, db)
      try db.execute(sql: "PRAGMA wal_autocheckpoint = \(Self.checkpointPages)")
      try db.execute(sql: "PRAGMA journal_size_limit = \(Self.journalBytes)")
    }
    try CatalogSchema.migrator.migrate(database)
    self.database = database
    self.hasOneConnection = database is DatabaseQueue
    self.machine = machine
    self.bulk = bulk
    self.ownRef = try database.write { db in
      try db.execute(sql: "PRAGMA application_id = \(CatalogSchema.applicationID)")
      return try Self.takeIdentity(machine, db)
    }
  }

  /// A smaller cache than before gives its memory back.
  static func setCache(_ kilobytes: Int, _ db: Database) throws {
    let now = try db.row("PRAGMA cache_size")?.integer(0) ?? 0
    guard now != Int64(-kilobytes) else { return }
    try db.run("PRAGMA cache_size = -\(kilobytes)")
    if -now > kilobytes { try db.run("PRAGMA shrink_memory") }
  }

  static var configuration: Configuration {
    var configuration = Configuration()
    configuration.label = "mantel.catalog"
    configuration.busyMode = .timeout(5)
    return configuration
  }

  /// Looks through a read-only connection first: the pool would switch another program's file to WAL.
  private static func refuseForeign(at path: String) throws {
    var configuration = Self.configuration
    configuration.readonly = true
    do {
      try DatabaseQueue(path: path, configuration: configuration).read(refuseForeign)
    } catch let error as DatabaseError where error.resultCode == .SQLITE_CANTOPEN {
      return  // There is no file yet, or the pool will say why it cannot be opened.
    }
  }

  private static func refuseForeign(_ db: Database) throws {
    let id = try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0
    let isEmpty = try !db.exists("SELECT 1 FROM sqlite_schema WHERE name <> 'grdb_migrations'")
    guard id == CatalogSchema.applicationID || (id == 0 && isEmpty) else {
      throw CatalogOpenError.notACatalog
    }
    let migrator = CatalogSchema.migrator
    if try migrator.hasBeenSuperseded(db) {
      let unknown = try migrator.appliedIdentifiers(db).subtracting(migrator.migrations)
      throw CatalogOpenError.newerSchema(unknown.sorted())
    }
  }

  /// Ends all use of the catalog, and moves what its log has into the file.
  package func close() throws(StoreError) {
    do { try database.close() } catch { throw StoreError(mapping: error) }
  }

  /// Damage that SQLite finds in its own structures, as text; empty when there is none. Reads the whole file, and throws when the
  /// search was stopped.
  package func damage(_ search: DamageSearch = DamageSearch()) throws(StoreError) -> [String] {
    guard let pool = database as? DatabasePool else { return try read { try DamageSearch.findings($0) } }
    do { return try search.run(at: pool.path) } catch { throw StoreError(mapping: error) }
  }
}
