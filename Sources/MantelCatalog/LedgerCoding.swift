internal import MantelCore

/// Rows of `file` to values and back.
enum LedgerCoding {
  static let columns =
    "folder, path, size, mtime, ctime, inode, device, status, reason, errno, content, manifest, changes, "
    + "links, changes_since, is_accepted"

  static let columnCount = 16

  static let pending: Int64 = 0
  static let published: Int64 = 1
  static let skipped: Int64 = 2

  /// Numbers of the reasons; never changed once shipped.
  static func code(_ reason: PendingReason) -> Int64 {
    switch reason {
    case .settling: 0
    case .hashing: 1
    case .changesOften: 2
    case .changedWhileRead: 3
    case .publishing: 4
    case .copying: 5
    case .massChange: 6
    case .suspectedRot: 7
    case .notDurable: 8
    }
  }

  static func pendingReason(_ code: Int64) throws -> PendingReason {
    switch code {
    case 0: return .settling
    case 1: return .hashing
    case 2: return .changesOften
    case 3: return .changedWhileRead
    case 4: return .publishing
    case 5: return .copying
    case 6: return .massChange
    case 7: return .suspectedRot
    case 8: return .notDurable
    default: throw StoreError.damaged("a reason")
    }
  }

  static func code(_ reason: SkipReason) -> (code: Int64, errno: Int64) {
    switch reason {
    case .junk: (0, 0)
    case .excluded: (1, 0)
    case .symlink: (2, 0)
    case .special: (3, 0)
    case .unreadable(let errno): (4, Int64(errno))
    case .tooLarge: (5, 0)
    case .pathTooLong: (6, 0)
    case .mantel: (7, 0)
    case .forgotten: (8, 0)
    }
  }

  static func skipReason(_ code: Int64, errno: Int64) throws -> SkipReason {
    switch code {
    case 0: return .junk
    case 1: return .excluded
    case 2: return .symlink
    case 3: return .special
    case 4: return .unreadable(errno: Int32(truncatingIfNeeded: errno))
    case 5: return .tooLarge
    case 6: return .pathTooLong
    case 7: return .mantel
    case 8: return .forgotten
    default: throw StoreError.damaged("a reason")
    }
  }

  static func code(_ status: FileStatus) -> Int64 {
    switch status {
    case .pending: pending
    case .published: published
    case .skipped: skipped
    }
  }

  /// Status, reason and errno as the columns keep them.
  static func values(of status: FileStatus) -> [SQLValue] {
    switch status {
    case .pending(let reason): [.int(pending), .int(code(reason)), .int(0)]
    case .published: [.int(published), .int(0), .int(0)]
    case .skipped(let reason):
      [.int(skipped), .int(code(reason).code), .int(code(reason).errno)]
    }
  }

  static func values(of stamp: FileStamp) -> [SQLValue] {
    [
      .bits(stamp.size), .int(stamp.mtime), .int(stamp.ctime), .bits(stamp.inode),
      .bits(stamp.device),
    ]
  }
}

extension ResultRow {
  /// Reads size, mtime, ctime, inode and device.
  func stamp(_ column: Int) throws -> FileStamp {
    FileStamp(
      size: try bits(column), mtime: try integer(column + 1), ctime: try integer(column + 2),
      inode: try bits(column + 3), device: try bits(column + 4))
  }

  /// Reads `LedgerCoding.columns`.
  func ledgerFile() throws -> LedgerFile {
    let reason = try integer(8)
    let status: FileStatus
    switch try integer(7) {
    case LedgerCoding.pending: status = .pending(try LedgerCoding.pendingReason(reason))
    case LedgerCoding.published: status = .published
    case LedgerCoding.skipped:
      status = .skipped(try LedgerCoding.skipReason(reason, errno: try integer(9)))
    default: throw StoreError.damaged("a status")
    }
    var stamp = try stamp(2)
    stamp.linkCount = try bits(13)
    return LedgerFile(
      folder: try folder(0), path: try bytes(1), stamp: stamp, status: status,
      content: try optionalDigest(10).map { ContentID($0) }, manifest: try optionalDigest(11),
      changes: Int(try integer(12)), changesSince: AgentTime(nanoseconds: try integer(14)),
      isAccepted: try flag(15))
  }
}
