import MantelControl

/// The format of `sha256sum`, byte for byte, so that `sha256sum -c` reads it whatever a name contains.
enum SumsText {
  static func line(_ sum: SumAnswer) -> [UInt8] { line(sha256: sum.sha256, path: sum.path.bytes) }

  /// `HASH  PATH`. A name with a newline or backslash has both escaped, and the line begins with a backslash; so has one
  /// that ends in a carriage return, which readers would take for part of the line's end.
  static func line(sha256: String, path: [UInt8]) -> [UInt8] {
    let newline = UInt8(ascii: "\n")
    let carriage = UInt8(ascii: "\r")
    let backslash = UInt8(ascii: "\\")
    let needsEscape = path.contains(newline) || path.contains(backslash) || path.last == carriage
    var line = Array((needsEscape ? "\\" : "").utf8) + Array(sha256.utf8) + Array("  ".utf8)
    for (index, byte) in path.enumerated() {
      switch byte {
      case newline: line += Array("\\n".utf8)
      case backslash: line += Array("\\\\".utf8)
      case carriage where index == path.count - 1: line += Array("\\r".utf8)
      default: line.append(byte)
      }
    }
    return line + [newline]
  }
}
