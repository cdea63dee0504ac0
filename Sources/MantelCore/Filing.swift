/// One change of the replica's files. Paths are bytes below the replica root; none of them ever replaces a file.
package enum FilingOperation: Hashable, Sendable {
  /// A verified staged content becomes the file at `path`.
  case land(ContentID, path: [UInt8], mtime: Int64)
  /// A replica file gets another name; its content stays.
  case move(from: [UInt8], path: [UInt8], content: ContentID, mtime: Int64)
  /// A second name for a replica file of the same content and mtime: a hard link, or a copy where links cannot be had.
  case link(from: [UInt8], path: [UInt8], content: ContentID, mtime: Int64)
  /// A copy of a replica file: reflink where the filesystem can, else bytes; hashed after it was made.
  case copy(from: [UInt8], path: [UInt8], content: ContentID, mtime: Int64)
  /// A copy of a file of an own folder, never a link; `root` is the folder's absolute path.
  case copyOwn(root: [UInt8], source: [UInt8], path: [UInt8], content: ContentID, mtime: Int64)
  /// A file whose content stays elsewhere in the replica, or was dropped.
  case remove(path: [UInt8], content: ContentID)

  /// Where the operation's file ends up; for a removal, what goes.
  package var path: [UInt8] {
    switch self {
    case .land(_, let path, _), .move(_, let path, _, _), .link(_, let path, _, _),
      .copy(_, let path, _, _), .copyOwn(_, _, let path, _, _), .remove(let path, _):
      path
    }
  }

  /// The content of the file that the operation makes, moves or removes.
  package var content: ContentID {
    switch self {
    case .land(let content, _, _), .move(_, _, let content, _), .link(_, _, let content, _),
      .copy(_, _, let content, _), .copyOwn(_, _, _, let content, _), .remove(_, let content):
      content
    }
  }
}

/// What became of an operation.
package enum FilingResult: Hashable, Sendable {
  /// Done and durable; the file's stamp (nil after a removal, and when a later operation has moved the file on). `path` may differ from the one asked for: an existing
  /// file of other bytes keeps its name, the newcomer gets a suffix.
  case done(path: [UInt8], FileStamp?)
  /// An existing file had the same bytes already and was taken over; durable.
  case adopted(path: [UInt8], FileStamp)
  /// The source's bytes are not the content's (any more).
  case sourceChanged
  case failed(FilingFailure)
}

/// Why an operation was not done.
package struct FilingFailure: Hashable, Sendable {
  package enum Code: Sendable {
    case noSpace
    /// The filesystem takes no writes.
    case readOnly
    case notMounted
    case io
    /// The name cannot be had on this filesystem.
    case name
    /// An fsync of the batch failed: nothing of it counts as durable.
    case sync
    case other
  }
  package var code: Code
  package var errno: Int32
  package var message: String

  package init(code: Code, errno: Int32, message: String) {
    self.code = code
    self.errno = errno
    self.message = message
  }
}
