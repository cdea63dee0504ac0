/// Names and paths made safe to print: whatever could move the cursor, break a line or turn text around is shown as an
/// escape, and two different names never look the same for it.
package enum Printable {
  /// Backslash, control characters and invisible formatting as `\\`, `\n`, `\x1b`, `\u{202e}`.
  package static func text(_ text: String) -> String {
    text.unicodeScalars.contains(where: { isUnsafe($0) || $0 == "\\" })
      ? text.unicodeScalars.map { $0 == "\\" ? "\\\\" : escaped($0) }.joined() : text
  }

  /// A sentence with names in it: backslashes stay, they may be the sentence's own.
  package static func sentence(_ text: String) -> String {
    text.unicodeScalars.contains(where: isUnsafe)
      ? text.unicodeScalars.map(escaped).joined() : text
  }

  package static func path(_ path: PathText) -> String { bytes(path.bytes) }

  /// Like `text`; a byte that is no UTF-8 becomes `\xff`.
  package static func bytes(_ bytes: [UInt8]) -> String {
    if let whole = String(validating: bytes, as: UTF8.self) { return text(whole) }
    var result = ""
    var index = 0
    while index < bytes.count {
      let end = index + length(bytes[index])
      if end <= bytes.count, let character = String(validating: bytes[index..<end], as: UTF8.self) {
        result += text(character)
        index = end
      } else {
        result += hexadecimal(bytes[index])
        index += 1
      }
    }
    return result
  }

  private static func length(_ lead: UInt8) -> Int {
    switch lead {
    case 0xc0..<0xe0: 2
    case 0xe0..<0xf0: 3
    case 0xf0...: 4
    default: 1
    }
  }

  private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: true
    // Joiners are part of ordinary names; marks that turn the direction are not.
    case .format: scalar != "\u{200c}" && scalar != "\u{200d}"
    default: false
    }
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    guard isUnsafe(scalar) else { return String(scalar) }
    switch scalar {
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    default:
      return scalar.isASCII
        ? hexadecimal(UInt8(ascii: scalar)) : "\\u{\(String(scalar.value, radix: 16))}"
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> String {
    "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
}
