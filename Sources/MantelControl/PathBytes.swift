import Foundation

extension PathText {
  /// The true bytes of the path.
  package var bytes: [UInt8] {
    pathBase64.flatMap { Data(base64Encoded: $0) }.map(Array.init) ?? Array(path.utf8)
  }

  /// A path from its true bytes.
  package init(bytes: [UInt8]) {
    if let text = String(validating: bytes, as: UTF8.self) {
      self.init(path: text, pathBase64: nil)
    } else {
      self.init(
        path: String(decoding: bytes, as: UTF8.self), pathBase64: Data(bytes).base64EncodedString())
    }
  }
}
