extension CatalogSchema {
  /// Entries of a head of which many come, until it is installed: in the order in which they came, and without an index.
  /// `ref` is the library's number and a running one, so that the rows of one library stand together.
  static let stagedInBulk = """
    CREATE TABLE staged_entry (
      ref INTEGER PRIMARY KEY,
      id BLOB NOT NULL CHECK (length(id) = 32),
      folder BLOB NOT NULL CHECK (length(folder) = 16),
      path BLOB NOT NULL,
      content BLOB NOT NULL CHECK (length(content) = 32),
      size INTEGER NOT NULL CHECK (size >= 0),
      mtime INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      state INTEGER NOT NULL CHECK (state IN (0, 1, 2, 3)),
      reason INTEGER NOT NULL,
      state_time INTEGER NOT NULL,
      manifest BLOB CHECK (manifest IS NULL OR length(manifest) = 32)
    ) STRICT;
    """

  /// How many bytes are missing is told by the index alone: a million rows of the table in another order took eight seconds,
  /// at each statement of a machine that lacks them.
  static let lackingWithSizes = """
    DROP INDEX entry_lacking_content;
    CREATE INDEX entry_lacking_content ON entry (library, content, mtime, since, until, size) WHERE lacking = 1;
    """
}
