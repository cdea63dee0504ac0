extension CatalogSchema {
  /// What drops have made of replica files, and what the user of this machine forgot. Times are agent time.
  static let keeping = """
    -- 0: held until a person confirms, 1: confirmed, 2: in the trash, 3: there, and confirmed.
    ALTER TABLE replica_file ADD COLUMN mark INTEGER CHECK (mark IS NULL OR mark IN (0, 1, 2, 3));
    ALTER TABLE replica_file ADD COLUMN trashed INTEGER CHECK ((trashed IS NOT NULL) = (mark IS NOT NULL AND mark >= 2));
    CREATE INDEX replica_file_marked ON replica_file (mark, library, trashed, size) WHERE mark IS NOT NULL;
    CREATE INDEX replica_file_trashed ON replica_file (trashed, content) WHERE trashed IS NOT NULL;

    -- Entries of the own library as they were before they were dropped.
    CREATE TABLE forgotten (
      entry BLOB NOT NULL PRIMARY KEY CHECK (length(entry) = 32),
      content BLOB NOT NULL CHECK (length(content) = 32),
      forgotten INTEGER NOT NULL,
      bytes BLOB NOT NULL
    ) STRICT;
    CREATE INDEX forgotten_by_content ON forgotten (content);

    -- Since when replaced entries of the own library are known to be replaced, where that lets them expire one day; and
    -- how many expired on each agent day.
    CREATE TABLE retirement (
      entry BLOB NOT NULL PRIMARY KEY CHECK (length(entry) = 32),
      noted INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE expiry (
      day INTEGER NOT NULL PRIMARY KEY,
      entries INTEGER NOT NULL CHECK (entries > 0)
    ) STRICT;

    -- Contents of the own library that all full machines report missing; and those that were given up.
    CREATE TABLE absence (
      content BLOB NOT NULL PRIMARY KEY CHECK (length(content) = 32),
      since INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE lost_content (
      content BLOB NOT NULL PRIMARY KEY CHECK (length(content) = 32),
      is_acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (is_acknowledged IN (0, 1))
    ) STRICT;
    """

  /// What tells an expired content, whose bytes may come back like any other's, from a forgotten one.
  static let expired = """
    CREATE TABLE expired_content (
      content BLOB NOT NULL PRIMARY KEY CHECK (length(content) = 32)
    ) STRICT, WITHOUT ROWID;
    """

  /// Contents that other libraries dropped, and that the user of this machine keeps all the same.
  static let keptDrops = """
    CREATE TABLE kept_drop (
      content BLOB NOT NULL PRIMARY KEY CHECK (length(content) = 32)
    ) STRICT, WITHOUT ROWID;
    """

  /// Entries of the libraries of removed machines as they were before this one, their keeper, dropped them. Apart from the own
  /// ones: after a rekey an entry of the same id may be in both, and own files with these bytes are not forgotten.
  static let keptLibraries = """
    CREATE TABLE kept_forgotten (
      library INTEGER NOT NULL REFERENCES library (machine),
      entry BLOB NOT NULL CHECK (length(entry) = 32),
      forgotten INTEGER NOT NULL,
      bytes BLOB NOT NULL,
      PRIMARY KEY (library, entry)
    ) STRICT, WITHOUT ROWID;
    """

  /// The last of them are asked for with each status.
  static let keptForgottenByTime = """
    CREATE INDEX kept_forgotten_by_time ON kept_forgotten (library, forgotten);
    """

  /// Forgotten contents that the own library had live under another name when it became that of a former machine.
  static let liveBeforeRekey = """
    CREATE TABLE live_before_rekey (
      content BLOB NOT NULL PRIMARY KEY CHECK (length(content) = 32)
    ) STRICT, WITHOUT ROWID;
    """

  /// What each path of the own library had first, where later versions may expire.
  static let firstVersions = """
    CREATE TABLE first_version (
      folder BLOB NOT NULL CHECK (length(folder) = 16),
      path BLOB NOT NULL CHECK (length(path) > 0),
      content BLOB NOT NULL CHECK (length(content) = 32),
      PRIMARY KEY (folder, path)
    ) STRICT, WITHOUT ROWID;
    """
}
