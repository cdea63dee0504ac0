package import MantelCore

/// Why bytes from a peer are not a frame. Each one closes the connection: after it the stream has no known frame border.
package enum WireError: Error, Equatable, Sendable {
  /// A type that this build does not know and that may not be skipped.
  case unknownCriticalType(UInt8)
  /// The header announces more bytes than its type may have.
  case tooLong(type: UInt8, bytes: Int)
  /// The payload ends within a field.
  case truncated(FrameType, field: StaticString)
  /// A field holds a value that it may not have.
  case malformed(FrameType, field: StaticString)
  /// A count or length is above its named limit.
  case overLimit(FrameType, field: StaticString)
  /// Bytes are left over after the last field.
  case trailingBytes(FrameType)
  /// A record within the frame was refused.
  case record(FrameType, RecordError)

  package static func == (left: Self, right: Self) -> Bool {
    left.description == right.description
  }
}

extension WireError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unknownCriticalType(let code): "unknown critical frame type \(code)"
    case .tooLong(let code, let bytes): "frame type \(code) announces \(bytes) bytes"
    case .truncated(let type, let field): "\(type.name) ends within \(field)"
    case .malformed(let type, let field): "\(type.name) has a bad \(field)"
    case .overLimit(let type, let field): "\(type.name) has too much in \(field)"
    case .trailingBytes(let type): "\(type.name) has bytes after its end"
    case .record(let type, let error): "\(type.name) has a bad record: \(error)"
    }
  }
}
