/// The code of a Swift file: comments are gone, and so is what stands in string literals, but for interpolations. Lines
/// keep their numbers.
struct SwiftCode {
  private(set) var text = ""

  init(_ source: String) {
    var scanner = Scanner(source: Array(source.utf8))
    scanner.scanCode(until: nil)
    text = String(decoding: scanner.output, as: UTF8.self)
  }

  /// Modules that the file imports.
  var imports: [String] {
    text.split(separator: "\n").compactMap { line in
      // The words are looked for first: a pattern on each line of the package would take a minute.
      guard line.contains("import "),
        let match = line.firstMatch(
          of:
            /^\s*(?:@\w+(?:\(\w+\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|typealias)\s+)?(\w+)/
        )
      else { return nil }
      return String(match.1)
    }
  }
}

private struct Scanner {
  let source: [UInt8]
  var position = 0
  var output: [UInt8] = []

  /// Copies code up to `end` that closes what was opened before, or to the end of the source.
  mutating func scanCode(until end: UInt8?) {
    var depth = 0
    while position < source.count {
      let byte = source[position]
      if byte == UInt8(ascii: "/"), skipComment() { continue }
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "#"), skipString() { continue }
      if byte == UInt8(ascii: "(") { depth += 1 }
      if let end, byte == end {
        if depth == 0 { return }
        depth -= 1
      }
      output.append(byte)
      position += 1
    }
  }

  private func isAt(_ text: String) -> Bool { source[position...].starts(with: text.utf8) }

  private mutating func skip(_ count: Int) {
    for _ in 0..<count where position < source.count {
      if source[position] == UInt8(ascii: "\n") { output.append(source[position]) }
      position += 1
    }
  }

  private mutating func skipComment() -> Bool {
    if isAt("//") {
      while position < source.count, source[position] != UInt8(ascii: "\n") { position += 1 }
      return true
    }
    guard isAt("/*") else { return false }
    var depth = 0
    while position < source.count {
      let byte = source[position]
      if byte != UInt8(ascii: "/"), byte != UInt8(ascii: "*") {
        skip(1)
      } else if isAt("/*") {
        depth += 1
        skip(2)
      } else if isAt("*/") {
        depth -= 1
        skip(2)
        if depth == 0 { break }
      } else {
        skip(1)
      }
    }
    return true
  }

  private mutating func skipString() -> Bool {
    var hashes = 0
    while position + hashes < source.count, source[position + hashes] == UInt8(ascii: "#") { hashes += 1 }
    guard position + hashes < source.count, source[position + hashes] == UInt8(ascii: "\"") else {
      return false
    }
    skip(hashes)
    let marks = isAt("\"\"\"") ? 3 : 1
    let hash = String(repeating: "#", count: hashes)
    let close = String(repeating: "\"", count: marks) + hash
    let escape = "\\" + hash
    output.append(UInt8(ascii: "\""))
    skip(marks)
    while position < source.count {
      let byte = source[position]
      guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else {
        skip(1)
        continue
      }
      if isAt(close) { break }
      if isAt(escape + "(") {
        skip(escape.utf8.count + 1)
        output.append(UInt8(ascii: "("))
        scanCode(until: UInt8(ascii: ")"))
        output.append(UInt8(ascii: ")"))
        skip(1)
      } else if isAt(escape) {
        skip(escape.utf8.count + 1)
      } else {
        skip(1)
      }
    }
    output.append(UInt8(ascii: "\""))
    skip(close.utf8.count)
    return true
  }
}
