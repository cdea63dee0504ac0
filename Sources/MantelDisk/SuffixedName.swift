import MantelCore

/// The names that a newcomer tries when its own is taken by other bytes.
enum SuffixedName {
  /// Names tried before giving up; more copies of one name with eight equal digits are not to be expected.
  static let attempts = 100
  /// A longer tail after the last dot is part of the name, not an extension.
  private static let extensionBytes = 16

  /// Attempt 0 is the path itself, 1 adds ` (xxxxxxxx)` with digits of the content before the extension, further ones
  /// ` (xxxxxxxx-2)` and so on. A name that would get too long loses the end of its stem, never its extension.
  static func candidate(_ path: [UInt8], _ content: ContentID, attempt: Int) -> [UInt8] {
    if attempt == 0 { return path }
    let start = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
    let name = path[start...]
    var stem = name
    var tail: ArraySlice<UInt8> = []
    if let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > start, name.endIndex - dot <= extensionBytes {
      stem = name[..<dot]
      tail = name[dot...]
    }
    let suffix = Array((attempt == 1 ? " (\(content.short))" : " (\(content.short)-\(attempt))").utf8)
    let room = Limits.pathComponentBytes - suffix.count - tail.count
    if stem.count > room {
      var end = stem.startIndex + room
      // Not in the middle of a UTF-8 character; other bytes are cut where they are.
      var steps = 0
      while steps < 3, end > stem.startIndex, stem[end] & 0xC0 == 0x80 {
        end -= 1
        steps += 1
      }
      stem = stem[..<end]
    }
    return Array(path[..<start]) + Array(stem) + suffix + Array(tail)
  }
}
