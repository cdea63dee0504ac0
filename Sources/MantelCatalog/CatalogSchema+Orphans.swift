extension CatalogSchema {
  /// Contents that a library wanted up to a generation, and that no entry of it has named since, in any state. Their rows are
  /// superseded ones of `entry`, and stay.
  static let orphans = """
    CREATE TABLE orphan (
      library INTEGER NOT NULL REFERENCES library (machine),
      content BLOB NOT NULL CHECK (length(content) = 32),
      generation INTEGER NOT NULL CHECK (generation > 0),
      PRIMARY KEY (library, content)
    ) STRICT, WITHOUT ROWID;
    """
}
