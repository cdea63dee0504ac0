import Glibc
import MantelCore

/// Names for filesystems that cannot hold every name: FAT, exFAT and NTFS refuse some characters and all bytes that are
/// not UTF-8, others have shorter names. The catalog keeps the true bytes; equal escaped names get a suffix as others do.
package enum EscapedName {
  /// Fits everywhere, with room for a suffix: the shortest limit in use is 143 bytes.
  private static let shortBytes = 100

  /// The forms of a component to be tried in turn: the name itself; with what is refused as `%` and two hexadecimal
  /// digits; and that cut short, with digits of the true name's hash before its extension.
  package static func forms(of name: [UInt8]) -> [[UInt8]] {
    // Nearly every name, and each file that is filed has one.
    if isPlain(name) { return [name] }
    let escaped = escape(name)
    let short = shorten(escaped, mark: name)
    var forms = [name]
    for form in [escaped, short] where form != forms[forms.count - 1] { forms.append(form) }
    return forms
  }

  /// Whether a call that failed so may succeed with another form of the name.
  static func mayHelp(_ outcome: Int) -> Bool {
    [-Int(EINVAL), -Int(EILSEQ), -Int(ENAMETOOLONG), -Int(EPROTO)].contains(outcome)
  }

  /// What one of these filesystems refuses, wherever in a name it stands.
  private static func isRefused(_ byte: UInt8) -> Bool {
    switch byte {
    case 0..<0x20, 0x7F, UInt8(ascii: "\""), UInt8(ascii: "*"), UInt8(ascii: ":"), UInt8(ascii: "<"),
      UInt8(ascii: ">"), UInt8(ascii: "?"), UInt8(ascii: "\\"), UInt8(ascii: "|"):
      true
    default: false
    }
  }

  private static func isRefusedAtEnd(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ".") || byte == UInt8(ascii: " ")
  }

  /// Short ASCII that none of these filesystems refuses.
  private static func isPlain(_ name: [UInt8]) -> Bool {
    guard name.count <= shortBytes, name.last.map(isRefusedAtEnd) != true else { return false }
    return name.allSatisfy { $0 < 0x80 && !isRefused($0) }
  }

  private static func escape(_ name: [UInt8]) -> [UInt8] {
    let isText = String(validating: name, as: UTF8.self) != nil
    var escaped: [UInt8] = []
    for (index, byte) in name.enumerated() {
      let isLast = index == name.count - 1
      if isRefused(byte) || byte >= 0x80 && !isText || isLast && isRefusedAtEnd(byte) {
        let digits = String(byte, radix: 16, uppercase: true)
        escaped += Array("%\(digits.count < 2 ? "0" : "")\(digits)".utf8)
      } else {
        escaped.append(byte)
      }
    }
    return escaped
  }

  private static func shorten(_ escaped: [UInt8], mark name: [UInt8]) -> [UInt8] {
    guard escaped.count > shortBytes else { return escaped }
    let dot = escaped.lastIndex(of: UInt8(ascii: ".")).flatMap { escaped.count - $0 <= 16 ? $0 : nil }
    let tail = dot.map { escaped[$0...] } ?? []
    let digits = ContentID(Digest256(hashing: name)).short
    var end = shortBytes - tail.count - digits.utf8.count - 1
    // Not in the middle of a UTF-8 character.
    while end > 0, escaped[end] & 0xC0 == 0x80 { end -= 1 }
    return Array(escaped[..<end]) + Array("%\(digits)".utf8) + Array(tail)
  }
}
