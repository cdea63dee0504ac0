/// What sort of file an entry is; decides retention, never whether it is backed up.
package enum EntryKind: UInt8, Sendable, CaseIterable {
  case photo = 0
  case raw = 1
  case video = 2
  case sidecar = 3
  case other = 4
}

/// What became of an entry. `live` is the only state whose path is a file's path today.
package enum EntryState: Hashable, Sendable {
  case live
  /// Deleted, replaced, or missing after a restore: the bytes are kept.
  case retired(RetireReason, at: WallTime)
  /// Wanted, but no machine has the bytes.
  case unheld(at: WallTime)
  /// Forgotten or expired: ids stay, the name is gone, the bytes may go.
  case dropped(at: WallTime)

  package enum RetireReason: UInt8, Sendable, CaseIterable {
    case deleted = 0
    case replaced = 1
    case missing = 2
    case excluded = 3
  }

  /// Whether the bytes are owed by full machines (W): live and retired are.
  package var isWanted: Bool {
    switch self {
    case .live, .retired: true
    case .unheld, .dropped: false
    }
  }

  package var isLive: Bool { self == .live }

  package var isRetired: Bool {
    if case .retired = self { true } else { false }
  }
}

/// One file of a library: where it lies, what its bytes are, and what became of it.
///
/// Canonical bytes: version u8 = 1 | folder 16 | path u16+bytes | content 32 | size u64 | mtime i64 ns |
/// kind u8 | state u8 | reason u8 | state time i64 ns | manifest 32 (zero if none).
package struct Entry: Hashable, Sendable {
  package var folder: FolderID
  /// Bytes of the path below the folder, `/` between components; empty when dropped.
  package var path: [UInt8]
  package var content: ContentID
  /// Bytes of the content.
  package var size: UInt64
  /// Modification time, nanoseconds since 1970.
  package var mtime: Int64
  package var kind: EntryKind
  package var state: EntryState
  /// Hash of the block manifest, for contents over `Limits.wholeUnitBytes`; nil for smaller ones.
  package var manifest: Digest256?

  package init(
    folder: FolderID, path: [UInt8], content: ContentID, size: UInt64, mtime: Int64,
    kind: EntryKind, state: EntryState, manifest: Digest256?
  ) {
    self.folder = folder
    self.path = path
    self.content = content
    self.size = size
    self.mtime = mtime
    self.kind = kind
    self.state = state
    self.manifest = manifest
  }

  /// What the entry is called in the library whatever its state: entries replace each other under this key.
  package var key: EntryKey { EntryKey(folder: folder, path: path, content: content) }
}

/// Folder, path and content: the identity that design.md gives an entry.
package struct EntryKey: Hashable, Sendable {
  package var folder: FolderID
  package var path: [UInt8]
  package var content: ContentID

  package init(folder: FolderID, path: [UInt8], content: ContentID) {
    self.folder = folder
    self.path = path
    self.content = content
  }
}

extension Entry: CanonicalRecord {
  package static let version: UInt8 = 1
  package static let maximumBytes = 1 + 16 + 2 + Limits.pathBytes + 32 + 8 + 8 + 3 + 8 + 32

  package func encode(to writer: inout CanonicalWriter) {
    writer.write(Self.version)
    writer.write(folder)
    writer.write(lengthPrefixed: path)
    writer.write(content)
    writer.write(size)
    writer.write(mtime)
    writer.write(kind.rawValue)
    let (code, reason, time) = state.encoded
    writer.write(code)
    writer.write(reason)
    writer.write(time)
    writer.write(manifest ?? .zero)
  }

  /// Refuses a path that could leave a replica, a manifest that does not fit the size, and a reason without a state.
  package init(from reader: inout CanonicalReader) throws(RecordError) {
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    folder = try reader.readFolderID()
    path = try reader.readLengthPrefixed(limit: Limits.pathBytes, field: "path")
    content = try reader.readIdentifier()
    size = try reader.readInteger()
    mtime = try reader.readInteger()
    guard let kind = EntryKind(rawValue: try reader.readInteger()) else {
      throw .invalid(field: "kind")
    }
    self.kind = kind
    let code = try reader.readInteger(UInt8.self)
    let reason = try reader.readInteger(UInt8.self)
    let time = try reader.readInteger(Int64.self)
    guard let state = EntryState(code: code, reason: reason, time: time) else {
      throw .invalid(field: "state")
    }
    self.state = state
    let manifest = try reader.readDigest()
    self.manifest = manifest == .zero ? nil : manifest
    guard (self.manifest != nil) == (size > UInt64(Limits.wholeUnitBytes)) else {
      throw .invalid(field: "manifest")
    }
    guard size <= Limits.contentBytes else { throw .overLimit(field: "size") }
    if case .dropped = state {
      guard path.isEmpty else { throw .invalid(field: "path") }
    } else {
      guard RelativePath.isSafe(path) else { throw .invalid(field: "path") }
    }
  }
}

extension EntryState {
  fileprivate var encoded: (code: UInt8, reason: UInt8, time: Int64) {
    switch self {
    case .live: (0, 0, 0)
    case .retired(let reason, let at): (1, reason.rawValue, at.nanoseconds)
    case .unheld(let at): (2, 0, at.nanoseconds)
    case .dropped(let at): (3, 0, at.nanoseconds)
    }
  }

  fileprivate init?(code: UInt8, reason: UInt8, time: Int64) {
    let at = WallTime(nanoseconds: time)
    switch (code, reason, time) {
    case (0, 0, 0): self = .live
    case (1, _, _):
      guard let reason = RetireReason(rawValue: reason) else { return nil }
      self = .retired(reason, at: at)
    case (2, 0, _): self = .unheld(at: at)
    case (3, 0, _): self = .dropped(at: at)
    default: return nil
    }
  }

  /// The state's number in canonical bytes and in the catalog: 0 live, 1 retired, 2 unheld, 3 dropped.
  package var code: UInt8 { encoded.code }
}

/// Paths below a folder, as bytes.
package enum RelativePath {
  /// Whether a path from elsewhere may be used below a directory: not empty or absolute, no NUL, no empty,
  /// `.` or `..` component, no component over 255 bytes, at most `Limits.pathBytes`.
  package static func isSafe(_ path: [UInt8]) -> Bool {
    path.count <= Limits.pathBytes && hasSafeComponents(path)
  }

  /// The same of a path of any length. In one pass that takes nothing apart: it is asked of each file that is looked at.
  package static func hasSafeComponents(_ path: [UInt8]) -> Bool {
    // Of the component that the pass is in: its bytes so far, and whether all of them are dots.
    var count = 0
    var hasDotsOnly = true
    for byte in path {
      if byte == UInt8(ascii: "/") {
        guard isSafeComponent(count, hasDotsOnly) else { return false }
        count = 0
        hasDotsOnly = true
      } else {
        guard byte != 0 else { return false }
        count += 1
        hasDotsOnly = hasDotsOnly && byte == UInt8(ascii: ".")
      }
    }
    return isSafeComponent(count, hasDotsOnly)
  }

  private static func isSafeComponent(_ count: Int, _ hasDotsOnly: Bool) -> Bool {
    count > (hasDotsOnly ? 2 : 0) && count <= Limits.pathComponentBytes
  }

  /// The path's components; precondition of nothing: an empty path has none.
  package static func components(_ path: [UInt8]) -> [[UInt8]] {
    path.split(separator: UInt8(ascii: "/")).map(Array.init)
  }
}
