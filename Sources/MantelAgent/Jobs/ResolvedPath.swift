import Glibc
import MantelCore

/// An absolute path with its symbolic links resolved as far as it exists, as components: for telling whether one place
/// lies in another.
struct ResolvedPath: Hashable, Sendable {
  let components: [[UInt8]]

  init(_ path: [UInt8]) {
    var existing = path
    var rest: [[UInt8]] = []
    while true {
      if let real = Self.real(existing) {
        components = RelativePath.components(real) + rest.reversed()
        return
      }
      var names = RelativePath.components(existing)
      guard let last = names.popLast() else {
        components = rest.reversed()
        return
      }
      rest.append(last)
      existing = [UInt8(ascii: "/")] + names.joined(separator: [UInt8(ascii: "/")])
    }
  }

  private init(components: [[UInt8]]) { self.components = components }

  /// The same place, or below it.
  func lies(in other: ResolvedPath) -> Bool { components.starts(with: other.components) }

  func appending(_ path: [UInt8]) -> ResolvedPath {
    ResolvedPath(components: components + RelativePath.components(path))
  }

  private static func real(_ path: [UInt8]) -> [UInt8]? {
    let resolved = (path + [0]).withUnsafeBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        characters.baseAddress.flatMap { realpath($0, nil) }
      }
    }
    guard let resolved else { return nil }
    defer { free(resolved) }
    return Array(UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
  }
}
