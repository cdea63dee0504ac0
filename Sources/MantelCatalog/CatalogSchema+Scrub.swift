extension CatalogSchema {
  /// When own files were last hashed, what was found wrong, and indexes that tell the bytes to re-read by themselves.
  static let scrub = """
    DROP INDEX replica_file_by_verified;
    CREATE INDEX replica_file_by_verified ON replica_file (verified, size);

    -- 0: never, as far as is known.
    ALTER TABLE file ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX file_by_verified ON file (verified, size) WHERE status = 1;
    -- Reason 7 of a pending file: suspected rot.
    CREATE INDEX file_suspected ON file (folder, path) WHERE status = 0 AND reason = 7;

    -- fault: 0 rotten, 1 unreadable, 2 changed, 3 vanished.
    CREATE TABLE bad_file (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      path BLOB NOT NULL CHECK (length(path) > 0),
      library INTEGER NOT NULL REFERENCES machine (ref),
      entry BLOB NOT NULL CHECK (length(entry) = 32),
      content BLOB NOT NULL CHECK (length(content) = 32),
      size INTEGER NOT NULL,
      inode INTEGER NOT NULL,
      fault INTEGER NOT NULL CHECK (fault IN (0, 1, 2, 3)),
      errno INTEGER NOT NULL,
      found INTEGER NOT NULL,
      aside BLOB,
      is_settled INTEGER NOT NULL CHECK (is_settled IN (0, 1)),
      healed INTEGER,
      is_acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (is_acknowledged IN (0, 1))
    ) STRICT;
    CREATE INDEX bad_file_open ON bad_file (content) WHERE healed IS NULL;
    CREATE INDEX bad_file_unsettled ON bad_file (path) WHERE is_settled = 0;
    CREATE INDEX bad_file_healed ON bad_file (healed) WHERE is_acknowledged = 0 AND healed IS NOT NULL;
    """

  /// `healed` is wall time, for people. This is agent time: how long a report is kept is counted from the first look that saw it
  /// healed.
  static let reportsSeenHealed = """
    ALTER TABLE bad_file ADD COLUMN seen_healed INTEGER;
    """
}
