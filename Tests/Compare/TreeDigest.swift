import Crypto
import Foundation

/// All files below a directory: how many, and one hash of their paths and bytes.
struct TreeDigest: Equatable, CustomStringConvertible {
  private(set) var files = 0
  private(set) var bytes = 0
  private(set) var sha256 = ""

  /// - Parameter ignoring: directories right below the top that a tool keeps for itself.
  init(of directory: String, ignoring: Set<String> = []) throws {
    guard let tree = FileManager.default.enumerator(atPath: directory) else {
      throw CompareError("\(directory) cannot be read")
    }
    var paths: [String] = []
    for case let path as String in tree {
      if ignoring.contains(path) {
        tree.skipDescendants()
      } else if tree.fileAttributes?[.type] as? FileAttributeType != .typeDirectory {
        paths.append(path)
      }
    }
    var whole = SHA256()
    for path in paths.sorted() {
      let content = try Data(contentsOf: URL(filePath: "\(directory)/\(path)"))
      files += 1
      bytes += content.count
      whole.update(data: Data(path.utf8) + [0])
      whole.update(data: Data(SHA256.hash(data: content)))
    }
    sha256 = whole.finalize().map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }

  var description: String { "\(files) files, \(bytes) bytes, \(sha256.prefix(16))" }
}
