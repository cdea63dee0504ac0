import Glibc

/// The disk that a directory lies on, in words for people; what cannot be found out is nil.
package struct DiskPlace: Hashable, Sendable {
  /// What is mounted: `/dev/sda1`, `tank/photos`.
  package var device: String?
  package var mountPoint: String?
  /// As the drive calls itself: `WDC WD40EFRX`.
  package var model: String?

  package init(of root: [UInt8]) {
    var raw = stat()
    guard result({ withName(root) { fstatat(AT_FDCWD, $0, &raw, 0) } }) >= 0 else { return }
    let number = UInt64(raw.st_dev)
    let (major, minor) = (Self.major(number), Self.minor(number))
    if let mount = Self.mount(containing: root) {
      (device, mountPoint) = (mount.device, mount.point)
    }
    model = Self.model("/sys/dev/block/\(major):\(minor)")
  }

  /// For messages: the model, what is mounted, and where, as far as known.
  package var text: String? {
    let parts = [model, device, mountPoint.map { "mounted on \($0)" }].compactMap(\.self)
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }

  private static func major(_ device: UInt64) -> UInt64 { (device >> 8) & 0xFFF | (device >> 32) & ~0xFFF }
  private static func minor(_ device: UInt64) -> UInt64 { device & 0xFF | (device >> 12) & 0xFFF_FF00 }

  /// The mount with the longest mount point above the path, the last one of those.
  private static func mount(containing root: [UInt8]) -> (device: String, point: String)? {
    guard let text = contents("/proc/self/mountinfo") else { return nil }
    let path = String(decoding: root, as: UTF8.self)
    var best: (device: String, point: String)?
    for line in text.split(separator: "\n") {
      // ID, parent, major:minor, root, mount point, options, optional fields, "-", type, source, ...
      let fields = line.split(separator: " ")
      guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 2 < fields.count else { continue }
      let point = unescaped(fields[4])
      let isAbove = point == "/" || path == point || path.hasPrefix(point + "/")
      if isAbove, point.utf8.count >= best?.point.utf8.count ?? 0 {
        best = (unescaped(fields[dash + 2]), point)
      }
    }
    return best
  }

  /// A partition's drive is its parent directory.
  private static func model(_ directory: String) -> String? {
    for file in ["device/model", "../device/model"] {
      if let text = contents("\(directory)/\(file)") {
        let words = text.split(whereSeparator: \.isWhitespace)
        if !words.isEmpty { return words.joined(separator: " ") }
      }
    }
    return nil
  }

  /// Blanks and backslashes stand in octal.
  private static func unescaped(_ field: Substring) -> String {
    var text = String(field)
    for (code, character) in [("\\040", " "), ("\\011", "\t"), ("\\134", "\\")] {
      text = text.split(separator: code, omittingEmptySubsequences: false).joined(separator: character)
    }
    return text
  }

  /// A file of the kernel's: its size is not known before it was read.
  private static func contents(_ path: String) -> String? {
    let opened = result { withName(Array(path.utf8)) { open($0, O_RDONLY | O_CLOEXEC) } }
    guard opened >= 0 else { return nil }
    let file = OpenFile(Int32(opened))
    guard let bytes = try? file.bytes(at: 0, count: 1 << 20, path: []) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
