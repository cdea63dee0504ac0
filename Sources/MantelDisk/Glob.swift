/// A pattern over the bytes of a relative path.
///
/// `*` stands for any bytes but `/`, `**` for any bytes, `**/` for any directories or none, `?` for one character,
/// `[a-z]` and `[!a-z]` for one of (or outside) a set, `\` takes the next character literally. A pattern without `/`
/// matches the name at any depth; one with `/` matches from the root. A `/` at the end matches directories only.
package struct Glob: Hashable, Sendable {
  private enum Token: Hashable {
    case byte(UInt8)
    case character
    case set([ClosedRange<UInt32>], isNegated: Bool)
    case anyInName
    case anything
    case directories

    var isRepeating: Bool { self == .anyInName || self == .anything || self == .directories }
  }

  private let tokens: [Token]
  private let matchesNameOnly: Bool
  private let directoriesOnly: Bool

  package init(_ pattern: String) {
    var bytes = Array(pattern.utf8)
    directoriesOnly = bytes.count > 1 && bytes.last == UInt8(ascii: "/")
    if directoriesOnly { bytes.removeLast() }
    matchesNameOnly = !bytes.contains(UInt8(ascii: "/"))
    if bytes.first == UInt8(ascii: "/") { bytes.removeFirst() }
    tokens = Self.parse(bytes)
  }

  /// Whether the pattern matches `path` itself; that a directory above it matches is for the caller to ask.
  package func matches(_ path: [UInt8], isDirectory: Bool = false) -> Bool {
    if directoriesOnly, !isDirectory { return false }
    let start = matchesNameOnly ? (path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0) : 0
    return run(path, from: start)
  }

  /// What a path has to begin with before its first `/`; nil if that may be several names.
  package var literalRoot: [UInt8]? {
    guard !matchesNameOnly else { return nil }
    var root: [UInt8] = []
    for token in tokens {
      guard case .byte(let byte) = token else { return nil }
      if byte == UInt8(ascii: "/") { return root }
      root.append(byte)
    }
    return nil
  }

  /// Two marks to come back to: the last `*` and the last `**`. What a `*` cannot pass, the `**` before it may.
  private func run(_ path: [UInt8], from start: Int) -> Bool {
    var at = start
    var token = 0
    var nearest: (token: Int, at: Int)?
    var widest: (token: Int, at: Int)?
    while true {
      if token < tokens.count, tokens[token].isRepeating {
        if tokens[token] == .anyInName {
          nearest = (token, at)
        } else {
          widest = (token, at)
          nearest = nil
        }
        token += 1
        continue
      }
      if token == tokens.count, at == path.count { return true }
      if token < tokens.count, at < path.count, let width = step(tokens[token], path, at) {
        at += width
        token += 1
        continue
      }
      if let mark = nearest, mark.at < path.count, path[mark.at] != UInt8(ascii: "/") {
        nearest = (mark.token, mark.at + 1)
        at = mark.at + 1
        token = mark.token + 1
      } else if let mark = widest, let next = advance(tokens[mark.token], path, mark.at) {
        widest = (mark.token, next)
        nearest = nil
        at = next
        token = mark.token + 1
      } else {
        return false
      }
    }
  }

  /// Where a `**` that reached `at` may reach next.
  private func advance(_ token: Token, _ path: [UInt8], _ at: Int) -> Int? {
    guard at < path.count else { return nil }
    if token == .anything { return at + 1 }
    return path[at...].firstIndex(of: UInt8(ascii: "/")).map { $0 + 1 }
  }

  /// Bytes that a single token takes at `at`; nil if it does not fit.
  private func step(_ token: Token, _ path: [UInt8], _ at: Int) -> Int? {
    switch token {
    case .byte(let byte): return path[at] == byte ? 1 : nil
    case .character: return path[at] == UInt8(ascii: "/") ? nil : Self.scalar(path, at).width
    case .set(let ranges, let isNegated):
      let (value, width) = Self.scalar(path, at)
      guard path[at] != UInt8(ascii: "/") else { return nil }
      return ranges.contains { $0.contains(value) } != isNegated ? width : nil
    case .anyInName, .anything, .directories: return nil
    }
  }

  private static func parse(_ bytes: [UInt8]) -> [Token] {
    var tokens: [Token] = []
    var at = 0
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "*"):
        let stars = bytes[at...].prefix { $0 == UInt8(ascii: "*") }.count
        let isAtStart = at == 0 || bytes[at - 1] == UInt8(ascii: "/")
        at += stars
        if stars == 1 {
          tokens.append(.anyInName)
        } else if isAtStart, at < bytes.count, bytes[at] == UInt8(ascii: "/") {
          tokens.append(.directories)
          at += 1
        } else {
          tokens.append(.anything)
        }
      case UInt8(ascii: "?"):
        tokens.append(.character)
        at += 1
      case UInt8(ascii: "["):
        if let (set, end) = parseSet(bytes, at) {
          tokens.append(set)
          at = end
        } else {
          // A bracket that never closes is just a bracket.
          tokens.append(.byte(bytes[at]))
          at += 1
        }
      case UInt8(ascii: "\\") where at + 1 < bytes.count:
        tokens.append(.byte(bytes[at + 1]))
        at += 2
      default:
        tokens.append(.byte(bytes[at]))
        at += 1
      }
    }
    return tokens
  }

  private static func parseSet(_ bytes: [UInt8], _ start: Int) -> (Token, Int)? {
    var at = start + 1
    var ranges: [ClosedRange<UInt32>] = []
    let isNegated = at < bytes.count && (bytes[at] == UInt8(ascii: "!") || bytes[at] == UInt8(ascii: "^"))
    if isNegated { at += 1 }
    let first = at
    func next() -> UInt32? {
      if at < bytes.count, bytes[at] == UInt8(ascii: "\\") { at += 1 }
      guard at < bytes.count else { return nil }
      let (value, width) = scalar(bytes, at)
      at += width
      return value
    }
    while at < bytes.count {
      if bytes[at] == UInt8(ascii: "]"), at > first { return (.set(ranges, isNegated: isNegated), at + 1) }
      guard let low = next() else { return nil }
      var high = low
      if at + 1 < bytes.count, bytes[at] == UInt8(ascii: "-"), bytes[at + 1] != UInt8(ascii: "]") {
        at += 1
        guard let end = next() else { return nil }
        high = end
      }
      ranges.append(min(low, high)...max(low, high))
    }
    return nil
  }

  /// The UTF-8 character at `at` and its bytes; a byte that belongs to none counts alone, above all characters.
  private static func scalar(_ bytes: [UInt8], _ at: Int) -> (value: UInt32, width: Int) {
    let width =
      switch bytes[at] {
      case 0..<0x80: 1
      case 0xC2..<0xE0: 2
      case 0xE0..<0xF0: 3
      case 0xF0..<0xF5: 4
      default: 0
      }
    if width > 0, at + width <= bytes.count,
      let text = String(validating: bytes[at..<at + width], as: UTF8.self),
      let scalar = text.unicodeScalars.first
    {
      return (scalar.value, width)
    }
    return (0x11_0000 + UInt32(bytes[at]), 1)
  }
}
