import Foundation

/// Suites and tests that a document names in backticks, like `SomeTests` or `SomeTests.somethingHolds`.
enum NamedTests {
  /// Those that are neither in one of the files, nor a target of the manifest.
  static func missing(in document: String, files: [SourceFile], manifest: String) -> [String] {
    let declared = files.map { Declared(in: $0.text) }
    return names(in: document).filter { name in
      let parts = name.split(separator: ".").map(String.init)
      if parts.count == 1, manifest.contains("name: \"\(name)\"") { return false }
      let homes = declared.filter { $0.types.contains(parts[0]) }
      return !homes.contains { parts.count == 1 || $0.functions.contains(parts[1]) }
    }
  }

  static func names(in document: String) -> [String] {
    let quoted = document.split(separator: "\n").flatMap { line in
      line.split(separator: "`", omittingEmptySubsequences: false).enumerated().compactMap {
        $0.offset % 2 == 1 ? String($0.element) : nil
      }
    }
    return Set(quoted.filter(isName)).sorted()
  }

  private static func isName(_ text: String) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard let suite = parts.first, suite.hasSuffix("Tests"), suite.first?.isUppercase == true else {
      return false
    }
    let isPlain = parts.allSatisfy { part in part.allSatisfy { $0.isLetter || $0.isNumber } }
    return isPlain && (parts.count == 1 || parts.count == 2 && parts[1].first?.isLowercase == true)
  }

  /// What a file declares or extends: each is read once, whatever the number of names.
  private struct Declared {
    var types: Set<String> = []
    var functions: Set<String> = []

    init(in text: String) {
      var before = ""
      for word in text.utf8.split(whereSeparator: { !Self.isOfWord($0) }) {
        let word = String(decoding: word, as: UTF8.self)
        switch before {
        case "struct", "class", "extension", "enum": types.insert(word)
        case "func": functions.insert(word)
        default: break
        }
        before = word
      }
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
        true
      default: false
      }
    }
  }
}
