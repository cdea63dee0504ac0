internal import MantelCore

/// Rows of `entry` to values and back.
enum EntryCoding {
  /// The columns that `ResultRow.entry` reads, in its order; the table is called `e`.
  static let columns =
    "e.id, e.folder, e.path, e.content, e.size, e.mtime, e.kind, e.state, e.reason, e.state_time, e.manifest"
  static let columnCount = 11

  /// Whether row `e` belongs to the installed view of library row `l`.
  static let isInstalled = "e.since <= l.installed AND (e.until = 0 OR e.until > l.installed)"

  /// State, reason and time as the columns keep them.
  static func values(of state: EntryState) -> [SQLValue] {
    let (reason, time): (UInt8, Int64) =
      switch state {
      case .live: (0, 0)
      case .retired(let reason, let at): (reason.rawValue, at.nanoseconds)
      case .unheld(let at), .dropped(let at): (0, at.nanoseconds)
      }
    return [.int(Int(state.code)), .int(Int(reason)), .int(time)]
  }

  static func state(code: Int64, reason: Int64, time: Int64) throws -> EntryState {
    let at = WallTime(nanoseconds: time)
    switch code {
    case 0: return .live
    case 1:
      guard let raw = UInt8(exactly: reason), let reason = EntryState.RetireReason(rawValue: raw)
      else { throw StoreError.damaged("a reason") }
      return .retired(reason, at: at)
    case 2: return .unheld(at: at)
    case 3: return .dropped(at: at)
    default: throw StoreError.damaged("a state")
    }
  }
}

extension ResultRow {
  /// Reads `EntryCoding.columns` from `column` on.
  func entry(_ column: Int = 0) throws -> (id: EntryID, entry: Entry) {
    guard let raw = UInt8(exactly: try integer(column + 6)), let kind = EntryKind(rawValue: raw)
    else { throw StoreError.damaged("a kind") }
    let entry = Entry(
      folder: try folder(column + 1), path: try bytes(column + 2), content: try id(column + 3),
      size: try bits(column + 4), mtime: try integer(column + 5), kind: kind,
      state: try EntryCoding.state(
        code: try integer(column + 7), reason: try integer(column + 8),
        time: try integer(column + 9)),
      manifest: try optionalDigest(column + 10))
    return (try id(column), entry)
  }
}
