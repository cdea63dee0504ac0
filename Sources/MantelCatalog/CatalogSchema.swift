internal import GRDB

/// The catalog's tables. A migration is never edited once it has shipped: a change is a new one.
///
/// How a library's rows tell its history: generation 0 is the empty library, every installed or published head is the
/// next one, and `head` says which. An `entry` row belongs to the generations `since <= g AND (until = 0 OR until > g)`;
/// `until = 0` means "still there" (and takes no space). Staging writes rows of generation `installed + 1`, so that
/// installing moves one counter and a restart finds all that was staged.
///
/// Three marks make queues of the rows themselves, by partial indexes, so that staging pays for them and
/// installing does not:
/// - `came`, `went`: filing has not looked at the content since the row came or went ("unfiled");
/// - `lacking`: wanted, of another open library, and no replica file has the content ("missing").
/// A mark on a row that is only staged does not count before the row is installed.
enum CatalogSchema {
  /// "MtlC": tells a catalog from another program's database.
  static let applicationID: Int64 = 0x4d74_6c43

  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1 records") { try $0.execute(sql: records) }
    migrator.registerMigration("1 ledger") { try $0.execute(sql: ledger) }
    migrator.registerMigration("1 libraries") { try $0.execute(sql: libraries) }
    migrator.registerMigration("1 replica") { try $0.execute(sql: replica) }
    migrator.registerMigration("2 hard links") { try $0.execute(sql: hardLinks) }
    migrator.registerMigration("2 agent time") { try $0.execute(sql: agentTime) }
    migrator.registerMigration("2 mass changes") { try $0.execute(sql: massChanges) }
    migrator.registerMigration("2 scrub") { try $0.execute(sql: scrub) }
    migrator.registerMigration("3 keeping") { try $0.execute(sql: keeping) }
    migrator.registerMigration("4 expired") { try $0.execute(sql: expired) }
    migrator.registerMigration("4 first versions") { try $0.execute(sql: firstVersions) }
    migrator.registerMigration("4 kept drops") { try $0.execute(sql: keptDrops) }
    migrator.registerMigration("5 orphans") { try $0.execute(sql: orphans) }
    migrator.registerMigration("6 acknowledged orphans") { try $0.execute(sql: acknowledgedOrphans) }
    migrator.registerMigration("7 counts without triggers") { try $0.execute(sql: countsWithoutTriggers) }
    migrator.registerMigration("8 missing by library") { try $0.execute(sql: missingByLibrary) }
    migrator.registerMigration("9 kept libraries") { try $0.execute(sql: keptLibraries) }
    migrator.registerMigration("10 kept forgotten by time") { try $0.execute(sql: keptForgottenByTime) }
    migrator.registerMigration("11 reports seen healed") { try $0.execute(sql: reportsSeenHealed) }
    migrator.registerMigration("12 live before rekey") { try $0.execute(sql: liveBeforeRekey) }
    migrator.registerMigration("13 staged in bulk") { try $0.execute(sql: stagedInBulk) }
    migrator.registerMigration("14 lacking with sizes") { try $0.execute(sql: lackingWithSizes) }
    return migrator
  }

  private static let records = """
    CREATE TABLE setting (
      key TEXT NOT NULL PRIMARY KEY,
      value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Machines by a small number, because a million rows name one.
    CREATE TABLE machine (
      ref INTEGER PRIMARY KEY,
      id BLOB NOT NULL UNIQUE CHECK (length(id) = 32)
    ) STRICT;

    -- The machine whose catalog this is.
    CREATE TABLE identity (
      only INTEGER PRIMARY KEY CHECK (only = 1),
      machine INTEGER NOT NULL REFERENCES machine (ref)
    ) STRICT;

    CREATE TABLE statement (
      id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 32),
      bytes BLOB NOT NULL
    ) STRICT;

    CREATE TABLE machine_record (
      machine BLOB NOT NULL PRIMARY KEY CHECK (length(machine) = 32),
      number INTEGER NOT NULL,
      bytes BLOB NOT NULL
    ) STRICT;

    CREATE TABLE attestation (
      holder BLOB NOT NULL PRIMARY KEY CHECK (length(holder) = 32),
      number INTEGER NOT NULL,
      bytes BLOB NOT NULL
    ) STRICT;

    -- decision: 0 open, 1 granted, 2 declined by the user of this machine.
    CREATE TABLE forget_request (
      requester BLOB NOT NULL CHECK (length(requester) = 32),
      number INTEGER NOT NULL,
      decision INTEGER NOT NULL DEFAULT 0 CHECK (decision IN (0, 1, 2)),
      bytes BLOB NOT NULL,
      PRIMARY KEY (requester, number)
    ) STRICT;

    -- Where a machine was reached, or is said to be. Times are wall clock, nanoseconds.
    CREATE TABLE peer_address (
      machine BLOB NOT NULL CHECK (length(machine) = 32),
      host TEXT NOT NULL,
      port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
      learnt INTEGER NOT NULL,
      last_success INTEGER,
      last_failure INTEGER,
      failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
      PRIMARY KEY (machine, host, port)
    ) STRICT;

    CREATE TABLE fixed_address (
      host TEXT NOT NULL,
      port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
      PRIMARY KEY (host, port)
    ) STRICT;
    """

  private static let ledger = """
    CREATE TABLE folder (
      id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
      name TEXT NOT NULL,
      root BLOB NOT NULL,
      filesystem BLOB NOT NULL,
      -- Files on a network filesystem can be served, but are not held.
      is_local INTEGER NOT NULL DEFAULT 1 CHECK (is_local IN (0, 1)),
      is_removed INTEGER NOT NULL CHECK (is_removed IN (0, 1))
    ) STRICT;
    CREATE UNIQUE INDEX folder_by_name ON folder (name) WHERE is_removed = 0;

    CREATE TABLE folder_exclude (
      folder BLOB NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
      position INTEGER NOT NULL,
      glob TEXT NOT NULL,
      PRIMARY KEY (folder, position)
    ) STRICT, WITHOUT ROWID;

    -- Filesystem of a directory, where it is another than its parent's.
    CREATE TABLE folder_directory (
      folder BLOB NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
      path BLOB NOT NULL,
      filesystem BLOB NOT NULL,
      PRIMARY KEY (folder, path)
    ) STRICT, WITHOUT ROWID;

    -- status: 0 pending, 1 published, 2 skipped; reason: why, see LedgerCoding.swift.
    CREATE TABLE file (
      folder BLOB NOT NULL REFERENCES folder (id),
      path BLOB NOT NULL CHECK (length(path) > 0),
      size INTEGER NOT NULL,
      mtime INTEGER NOT NULL,
      ctime INTEGER NOT NULL,
      inode INTEGER NOT NULL,
      device INTEGER NOT NULL,
      status INTEGER NOT NULL CHECK (status IN (0, 1, 2)),
      reason INTEGER NOT NULL,
      errno INTEGER NOT NULL,
      content BLOB CHECK (content IS NULL OR length(content) = 32),
      manifest BLOB CHECK (manifest IS NULL OR length(manifest) = 32),
      changes INTEGER NOT NULL,
      PRIMARY KEY (folder, path)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX file_by_content ON file (content, status) WHERE content IS NOT NULL;
    CREATE INDEX file_unpublished ON file (status, folder, path) WHERE status <> 1;

    -- Kept by triggers: `status --watch` asks for it often, and counting a million files takes a second.
    CREATE TABLE file_count (
      folder BLOB NOT NULL REFERENCES folder (id),
      status INTEGER NOT NULL,
      files INTEGER NOT NULL CHECK (files >= 0),
      PRIMARY KEY (folder, status)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER file_came AFTER INSERT ON file BEGIN
      INSERT INTO file_count (folder, status, files) VALUES (new.folder, new.status, 1)
        ON CONFLICT DO UPDATE SET files = files + 1;
    END;
    CREATE TRIGGER file_went AFTER DELETE ON file BEGIN
      UPDATE file_count SET files = files - 1 WHERE folder = old.folder AND status = old.status;
    END;
    CREATE TRIGGER file_changed AFTER UPDATE OF status ON file WHEN new.status <> old.status BEGIN
      UPDATE file_count SET files = files - 1 WHERE folder = old.folder AND status = old.status;
      INSERT INTO file_count (folder, status, files) VALUES (new.folder, new.status, 1)
        ON CONFLICT DO UPDATE SET files = files + 1;
    END;
    """

  private static let libraries = """
    -- Counts are kept for the installed view and for the staged one (equal while nothing is staged).
    CREATE TABLE library (
      machine INTEGER PRIMARY KEY REFERENCES machine (ref),
      installed INTEGER NOT NULL DEFAULT 0 CHECK (installed >= 0),
      staging_epoch INTEGER,
      staging_sequence INTEGER,
      is_closed INTEGER NOT NULL DEFAULT 0 CHECK (is_closed IN (0, 1)),
      live INTEGER NOT NULL DEFAULT 0 CHECK (live >= 0),
      retired INTEGER NOT NULL DEFAULT 0 CHECK (retired >= 0),
      unheld INTEGER NOT NULL DEFAULT 0 CHECK (unheld >= 0),
      dropped INTEGER NOT NULL DEFAULT 0 CHECK (dropped >= 0),
      bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
      staged_live INTEGER NOT NULL DEFAULT 0 CHECK (staged_live >= 0),
      staged_retired INTEGER NOT NULL DEFAULT 0 CHECK (staged_retired >= 0),
      staged_unheld INTEGER NOT NULL DEFAULT 0 CHECK (staged_unheld >= 0),
      staged_dropped INTEGER NOT NULL DEFAULT 0 CHECK (staged_dropped >= 0),
      staged_bytes INTEGER NOT NULL DEFAULT 0 CHECK (staged_bytes >= 0),
      CHECK ((staging_epoch IS NULL) = (staging_sequence IS NULL))
    ) STRICT;

    CREATE TABLE head (
      library INTEGER NOT NULL REFERENCES library (machine),
      generation INTEGER NOT NULL CHECK (generation > 0),
      epoch INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      bytes BLOB NOT NULL,
      PRIMARY KEY (library, generation),
      UNIQUE (library, epoch, sequence)
    ) STRICT;

    -- Every head that this machine published, for good: one order never gets two roots.
    CREATE TABLE published (
      library INTEGER NOT NULL REFERENCES machine (ref),
      epoch INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      root BLOB NOT NULL CHECK (length(root) = 32),
      PRIMARY KEY (library, epoch, sequence)
    ) STRICT, WITHOUT ROWID;

    -- state: 0 live, 1 retired, 2 unheld, 3 dropped.
    CREATE TABLE entry (
      ref INTEGER PRIMARY KEY,
      library INTEGER NOT NULL REFERENCES library (machine),
      id BLOB NOT NULL CHECK (length(id) = 32),
      since INTEGER NOT NULL CHECK (since > 0),
      until INTEGER NOT NULL DEFAULT 0 CHECK (until = 0 OR until > since),
      folder BLOB NOT NULL CHECK (length(folder) = 16),
      path BLOB NOT NULL CHECK ((length(path) = 0) = (state = 3)),
      content BLOB NOT NULL CHECK (length(content) = 32),
      size INTEGER NOT NULL CHECK (size >= 0),
      mtime INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      state INTEGER NOT NULL CHECK (state IN (0, 1, 2, 3)),
      reason INTEGER NOT NULL,
      state_time INTEGER NOT NULL,
      manifest BLOB CHECK (manifest IS NULL OR length(manifest) = 32),
      came INTEGER NOT NULL CHECK (came IN (0, 1)),
      went INTEGER NOT NULL DEFAULT 0 CHECK (went IN (0, 1)),
      lacking INTEGER NOT NULL CHECK (lacking IN (0, 1)),
      CHECK (lacking = 0 OR state IN (0, 1)),
      UNIQUE (library, id, since, until)
    ) STRICT;
    -- Covering for the summary's start-up scans; the first also for the check of double paths.
    CREATE INDEX entry_by_path ON entry (library, folder, path, state, since, until);
    CREATE INDEX entry_by_content ON entry (library, content, state, since, until, size);
    -- What a generation brought and took. The condition is not a range: given `until > 0` SQLite would seek by that range
    -- and step over all of the history instead of seeking by `until = ?`.
    CREATE INDEX entry_by_since ON entry (library, since);
    CREATE INDEX entry_by_until ON entry (library, until) WHERE until <> 0;
    -- The queues.
    CREATE INDEX entry_came ON entry (library, since) WHERE came = 1;
    CREATE INDEX entry_went ON entry (library, until) WHERE went = 1;
    CREATE INDEX entry_lacking ON entry (mtime DESC, content, library, since, until) WHERE lacking = 1;
    CREATE INDEX entry_lacking_content ON entry (library, content, mtime, since, until)
      WHERE lacking = 1;
    """

  private static let replica = """
    CREATE TABLE replica_file (
      ref INTEGER PRIMARY KEY,
      path BLOB NOT NULL UNIQUE CHECK (length(path) > 0),
      library INTEGER NOT NULL REFERENCES machine (ref),
      entry BLOB NOT NULL CHECK (length(entry) = 32),
      content BLOB NOT NULL CHECK (length(content) = 32),
      size INTEGER NOT NULL,
      mtime INTEGER NOT NULL,
      ctime INTEGER NOT NULL,
      inode INTEGER NOT NULL,
      device INTEGER NOT NULL,
      verified INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX replica_file_by_content ON replica_file (content);
    CREATE INDEX replica_file_by_verified ON replica_file (verified);

    -- An empty folder stands for the machine's own directory.
    CREATE TABLE directory_name (
      machine INTEGER NOT NULL REFERENCES machine (ref),
      folder BLOB NOT NULL CHECK (length(folder) IN (0, 16)),
      name TEXT NOT NULL CHECK (length(name) > 0),
      PRIMARY KEY (machine, folder)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX directory_name_of_machine ON directory_name (name) WHERE length(folder) = 0;
    CREATE UNIQUE INDEX directory_name_of_folder ON directory_name (machine, name)
      WHERE length(folder) > 0;

    -- A manifest of a large video takes megabytes, its bitmap a few hundred bytes that change often: two tables.
    CREATE TABLE partial (
      content BLOB NOT NULL PRIMARY KEY CHECK (length(content) = 32),
      manifest BLOB NOT NULL
    ) STRICT;
    CREATE TABLE partial_blocks (
      content BLOB NOT NULL PRIMARY KEY REFERENCES partial (content) ON DELETE CASCADE,
      blocks BLOB NOT NULL
    ) STRICT;
    """

  /// Names of a file. What was there counts as one until it is looked at again after a change.
  private static let hardLinks = """
    ALTER TABLE file ADD COLUMN links INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX file_linked ON file (inode) WHERE links > 1;
    """

  /// Times are agent time in nanoseconds. It starts at 0 with this migration, so what was there counts from now.
  private static let agentTime = """
    ALTER TABLE attestation ADD COLUMN received INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE file ADD COLUMN changes_since INTEGER NOT NULL DEFAULT 0;
    -- Until now the changes had no day.
    UPDATE file SET changes = 0 WHERE changes <> 0;
    """

  /// `FileCountChange` counts.
  private static let countsWithoutTriggers = """
    DROP TRIGGER file_came;
    DROP TRIGGER file_went;
    DROP TRIGGER file_changed;
    """

  /// The newest of one library are found without a step over those of another.
  private static let missingByLibrary = """
    DROP INDEX entry_lacking;
    CREATE INDEX entry_lacking_newest ON entry (library, mtime DESC, content, since, until) WHERE lacking = 1;
    """

  private static let massChanges = """
    ALTER TABLE file ADD COLUMN is_accepted INTEGER NOT NULL DEFAULT 0 CHECK (is_accepted IN (0, 1));
    -- Held by a mass change; few, or asked about often while a person decides.
    CREATE INDEX file_held ON file (folder) WHERE status = 0 AND reason = 6;

    -- What each hour of agent time took of a folder's library, for a day.
    CREATE TABLE folder_loss (
      folder BLOB NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
      hour INTEGER NOT NULL CHECK (hour >= 0),
      contents INTEGER NOT NULL CHECK (contents > 0),
      deletions INTEGER NOT NULL CHECK (deletions >= 0),
      PRIMARY KEY (folder, hour)
    ) STRICT, WITHOUT ROWID;

    -- Folders whose deletions and replacements wait for the user, and the numbers that made them.
    CREATE TABLE mass_change (
      folder BLOB NOT NULL PRIMARY KEY REFERENCES folder (id) ON DELETE CASCADE,
      contents INTEGER NOT NULL,
      files INTEGER NOT NULL
    ) STRICT;
    """
}
