import MantelCore
import NIOCore

extension Frame {
  static func decodeClose(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    guard let code = CloseCode(rawValue: try reader.integer("code")) else {
      throw .malformed(reader.type, field: "code")
    }
    let raw = try reader.lengthPrefixed(limit: FrameLimits.closeMessageBytes, "message")
    guard let message = String(validating: raw, as: UTF8.self) else {
      throw .malformed(reader.type, field: "message")
    }
    return .close(code, message: message)
  }

  /// Messages come from errors of any length; one that is too long loses its end, between two characters.
  static func encodeClose(_ code: CloseCode, _ message: String, into buffer: inout ByteBuffer) {
    var text: [UInt8] = []
    for character in message {
      let bytes = character.utf8
      guard text.count + bytes.count <= FrameLimits.closeMessageBytes else { break }
      text.append(contentsOf: bytes)
    }
    buffer.writeInteger(code.rawValue)
    buffer.write(lengthPrefixed: text, limit: FrameLimits.closeMessageBytes)
  }
}
