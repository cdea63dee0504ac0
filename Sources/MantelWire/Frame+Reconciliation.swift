import MantelCore
import NIOCore

extension SetReference {
  fileprivate enum Kind: UInt8 {
    case library = 0
    case holdings = 1
  }
}

extension Frame {
  static func decodeReconcile(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let set: SetReference
    switch SetReference.Kind(rawValue: try reader.integer("set")) {
    case .library: set = .library(try reader.identifier("set"), try reader.order("set"))
    case .holdings: set = .holdings
    case nil: throw .malformed(reader.type, field: "set")
    }
    return .reconcile(
      request, set, count: try reader.integer("count"), root: try reader.digest("root"))
  }

  static func encodeReconcile(
    _ request: RequestID, _ set: SetReference, _ count: UInt64, _ root: Digest256,
    into buffer: inout ByteBuffer
  ) {
    buffer.write(request)
    switch set {
    case .library(let machine, let order):
      buffer.writeInteger(SetReference.Kind.library.rawValue)
      buffer.write(machine)
      buffer.write(order)
    case .holdings: buffer.writeInteger(SetReference.Kind.holdings.rawValue)
    }
    buffer.writeInteger(count)
    buffer.write(root)
  }

  private static let replyBit: UInt8 = 1 << 0
  private static let lastBit: UInt8 = 1 << 1

  /// The bytes of the turn are a slice of what was received.
  static func decodeTurn(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let flags = try reader.integer("flags", as: UInt8.self)
    guard flags & ~(replyBit | lastBit) == 0 else { throw .malformed(reader.type, field: "flags") }
    return .turn(
      request, isReply: flags & replyBit != 0, isLast: flags & lastBit != 0, reader.rest())
  }

  static func encodeTurn(
    _ request: RequestID, isReply: Bool, isLast: Bool, _ bytes: ByteBuffer,
    into buffer: inout ByteBuffer
  ) {
    buffer.write(request)
    buffer.writeInteger((isReply ? replyBit : 0) | (isLast ? lastBit : 0))
    buffer.writeImmutableBuffer(bytes)
  }
}
