import MantelCore

/// The ledger's rows of a directory, which a listing in the same order is held against: each row is looked at once, and
/// nothing is hashed.
struct KnownFiles: Sendable {
  private let rows: [LedgerFile]
  /// Places of rows that nobody took, ascending; `passed` are those that this pass has gone by.
  private var leftOver: [Int]
  private var passed: [Int] = []
  private var next = 0

  /// `rows` ascend by their paths.
  init(_ rows: [LedgerFile]) {
    self.rows = rows
    leftOver = Array(rows.indices)
  }

  /// Takes the row of a path, if there is one. Within a pass the paths must ascend.
  mutating func take(_ path: [UInt8]) -> LedgerFile? {
    while next < leftOver.count {
      let place = leftOver[next]
      let known = rows[place].path
      if known == path {
        next += 1
        return rows[place]
      }
      guard known.lexicographicallyPrecedes(path) else { return nil }
      passed.append(place)
      next += 1
    }
    return nil
  }

  /// Begins another pass, over what was not taken.
  mutating func rewind() {
    leftOver = passed + leftOver[next...]
    passed = []
    next = 0
  }

  /// The rows that are left after a `rewind`, ascending.
  var left: [LedgerFile] { leftOver.map { rows[$0] } }
}
