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

  /// Somebody knows of it, and waits for nobody to take it back.
  static let acknowledgedOrphans = """
    ALTER TABLE orphan ADD COLUMN
      is_acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (is_acknowledged IN (0, 1));
    """
}
