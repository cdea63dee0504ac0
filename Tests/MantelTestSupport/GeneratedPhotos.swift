import Glibc

/// Files that look like photos to Mantel: names, sizes and times like a camera's, bytes that do not compress, the same in
/// every run.
package enum GeneratedPhotos {
  /// Writes `bytes` bytes that belong to `seed`: no two seeds, and no two blocks of one file, have them in common.
  ///
  /// - Parameter mtime: nanoseconds since 1970; nil leaves it at now.
  package static func write(_ path: String, bytes: Int, seed: UInt64, mtime: Int64? = nil) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure("open", path) }
    defer { close(descriptor) }
    var block = noise
    var written = 0
    while written < bytes {
      block.withUnsafeMutableBytes {
        $0.storeBytes(of: seed, as: UInt64.self)
        $0.storeBytes(of: UInt64(written), toByteOffset: 8, as: UInt64.self)
      }
      let count = min(block.count, bytes - written)
      guard Glibc.write(descriptor, block, count) == count else { throw failure("write", path) }
      written += count
    }
    guard let mtime else { return }
    try setModified(path, mtime)
  }

  /// - Parameter mtime: nanoseconds since 1970.
  package static func setModified(_ path: String, _ mtime: Int64) throws {
    let (seconds, rest) = (mtime / 1_000_000_000, mtime % 1_000_000_000)
    let time =
      rest < 0
      ? timespec(tv_sec: Int(seconds - 1), tv_nsec: Int(rest + 1_000_000_000))
      : timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))
    guard utimensat(AT_FDCWD, path, [time, time], AT_SYMLINK_NOFOLLOW) == 0 else {
      throw failure("utimensat", path)
    }
  }

  /// 64 KiB of SplitMix64.
  private static let noise: [UInt8] = {
    var state: UInt64 = 0x4D61_6E74_656C
    var bytes: [UInt8] = []
    for _ in 0..<(8 << 10) {
      state &+= 0x9E37_79B9_7F4A_7C15
      var word = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
      word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
      word ^= word >> 31
      withUnsafeBytes(of: word) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }()

  static func failure(_ call: String, _ path: String) -> LabError {
    .commandFailed(command: "\(call) \(path)", status: errno, output: String(cString: strerror(errno)))
  }
}
