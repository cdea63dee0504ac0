import Foundation

/// Suites and tests that a document names in backticks, like `SomeTests` or `SomeTests.somethingHolds`.
enum NamedTests {
  /// Those that are neither in one of the files, nor a target of the manifest.
  static func missing(in document: String, files: [SourceFile], manifest: String) -> [String] {
    names(in: document).filter { name in
      let parts = name.split(separator: ".").map(String.init)
      if parts.count == 1, manifest.contains("name: \"\(name)\"") { return false }
      let homes = files.filter { declares(parts[0], $0) }
      return !homes.contains { parts.count == 1 || $0.text.contains("func \(parts[1])(") }
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

  private static func declares(_ suite: String, _ file: SourceFile) -> Bool {
    ["struct", "class", "extension", "enum"].contains { keyword in
      [" ", ":", "("].contains { file.text.contains("\(keyword) \(suite)\($0)") }
    }
  }
}
