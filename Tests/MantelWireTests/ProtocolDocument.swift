import Foundation

/// protocol.md, as far as tests read it.
struct ProtocolDocument {
  /// A fenced block of test vectors.
  struct Vector: Sendable {
    /// What it is: `frame`, `signed`, `entry`, `manifest`, `statement`, `join`.
    var kind: String
    var name: String
    var bytes: [UInt8]
  }

  struct Malformed: Error {
    var line: String
  }

  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private let lines: [String]

  init() throws {
    let text = try String(contentsOf: Self.root.appendingPathComponent("protocol.md"), encoding: .utf8)
    lines = text.components(separatedBy: "\n")
  }

  /// Cells of the table rows between the heading (or line) that starts with `start` and the next heading.
  func rows(under start: String) -> [[String]] {
    guard let first = lines.firstIndex(where: { $0.hasPrefix(start) }) else { return [] }
    let rest = lines[lines.index(after: first)...]
    return rest.prefix { !$0.hasPrefix("#") }.filter { $0.hasPrefix("| ") }.map { line in
      line.components(separatedBy: " | ").map { cell in
        cell.trimmingCharacters(in: CharacterSet(charactersIn: "|` "))
      }
    }
  }

  func vectors() throws -> [Vector] {
    var vectors: [Vector] = []
    var current: Vector?
    var isTitle = false
    for line in lines {
      if line == "```vector" {
        isTitle = true
      } else if isTitle {
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        guard words.count == 2 else { throw Malformed(line: line) }
        current = Vector(kind: words[0], name: words[1], bytes: [])
        isTitle = false
      } else if line == "```", let vector = current {
        vectors.append(vector)
        current = nil
      } else if current != nil {
        current?.bytes += try Self.bytes(line)
      }
    }
    return vectors
  }

  /// Hexadecimal digits up to a comment.
  private static func bytes(_ line: String) throws -> [UInt8] {
    let digits = Array(line.prefix { $0 != "#" }.filter { !$0.isWhitespace }.utf8)
    guard digits.count.isMultiple(of: 2) else { throw Malformed(line: line) }
    return try stride(from: 0, to: digits.count, by: 2).map { place in
      let pair = String(decoding: digits[place..<place + 2], as: UTF8.self)
      guard let byte = UInt8(pair, radix: 16) else { throw Malformed(line: line) }
      return byte
    }
  }

  /// Names of the constants that a source file declares for the package.
  static func constants(in path: String) throws -> [String] {
    let source = try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    return source.matches(of: /package static let (\w+)/).map { String($0.1) }
  }
}
