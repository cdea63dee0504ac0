import Foundation

/// Paths of the command line as bytes: a `String` cannot hold a name that is not UTF-8.
enum RawArguments {
  /// The bytes that were given for an argument whose text is `text`.
  static func bytes(of text: String) -> [UInt8] { bytes(of: text, among: ownArguments()) }

  /// `arguments`: the process's, as bytes. The first that reads as the text has its bytes; else the text itself.
  static func bytes(of text: String, among arguments: [[UInt8]]) -> [UInt8] {
    arguments.first { String(decoding: $0, as: UTF8.self) == text } ?? Array(text.utf8)
  }

  /// An absolute path without `.`, `..` and empty components; symbolic links stay.
  static func absolute(_ path: [UInt8], from directory: String) -> [UInt8] {
    let slash = UInt8(ascii: "/")
    let full = path.first == slash ? path : Array(directory.utf8) + [slash] + path
    var components: [ArraySlice<UInt8>] = []
    for component in full.split(separator: slash) {
      switch String(decoding: component, as: UTF8.self) {
      case ".": continue
      case "..": _ = components.popLast()
      default: components.append(component)
      }
    }
    return [slash] + components.joined(separator: [slash])
  }

  /// The absolute path that an argument means; and as base64.
  static func absolute(_ text: String) -> [UInt8] {
    absolute(bytes(of: text), from: FileManager.default.currentDirectoryPath)
  }

  static func absoluteBase64(_ text: String) -> String {
    Data(absolute(text)).base64EncodedString()
  }

  private static func ownArguments() -> [[UInt8]] {
    // Read as a stream: the kernel tells no size for it.
    guard let file = FileHandle(forReadingAtPath: "/proc/self/cmdline"),
      let data = try? file.readToEnd()
    else { return [] }
    return data.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
  }
}
