import MantelCore
import NIOCore

extension Frame {
  /// The range is not empty, at most `FrameLimits.challengeBytes` long, and ends within the largest content.
  static func decodeChallenge(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let content = try reader.identifier("content", as: ContentID.self)
    let offset = try reader.integer("offset", as: UInt64.self)
    let count = try reader.integer("count", as: UInt32.self)
    guard count > 0 else { throw .malformed(reader.type, field: "count") }
    guard count <= FrameLimits.challengeBytes else { throw .overLimit(reader.type, field: "count") }
    guard offset <= Limits.contentBytes - UInt64(count) else {
      throw .overLimit(reader.type, field: "offset")
    }
    return .challenge(
      request, content, offset: offset, count: count,
      nonce: try reader.raw(FrameLimits.nonceBytes, "nonce"))
  }

  static func encodeChallenge(
    _ request: RequestID, _ content: ContentID, offset: UInt64, count: UInt32, nonce: [UInt8],
    into buffer: inout ByteBuffer
  ) {
    precondition(count > 0 && count <= FrameLimits.challengeBytes, "a challenge of too few or too many bytes")
    buffer.write(request)
    buffer.write(content)
    buffer.writeMultipleIntegers(offset, count)
    buffer.write(fixed: nonce, count: FrameLimits.nonceBytes)
  }
}
