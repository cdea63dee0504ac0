import Foundation

/// Photos that nobody took: bitmaps that every viewer shows, different on every machine.
enum DemoPhotos {
  private static let width = 480
  private static let height = 320
  private static let headerBytes = 54
  /// 14 July 2019, noon: older than the demo, so that kept times are seen to be kept.
  private static let firstShot = 1_563_105_600
  private static let secondsPerDay = 86_400
  private static let names = [
    "2019/IMG_0001.bmp", "2019/IMG_0002.bmp", "2019/IMG_0003.bmp", "2020/Sommer am See.bmp",
    "2020/Geburtstag/Torte.bmp", "2021/été 1.bmp", "2021/été 2.bmp", "first day.bmp",
  ]

  /// Writes a few photos below a directory. `seed` tells machines apart.
  static func write(below directory: String, seed: UInt64) throws {
    for (index, name) in names.enumerated() {
      let path = "\(directory)/\(name)"
      try FileManager.default.createDirectory(
        atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      let photo = bitmap(seed: seed &* 1_000 &+ UInt64(index))
      guard FileManager.default.createFile(atPath: path, contents: Data(photo)) else {
        throw CommandFailure(.internalError, "\(path) cannot be written")
      }
      let shot = Int64(firstShot + index * secondsPerDay) * 1_000_000_000 + 123_456_789
      try SourceTree.setModified(path, to: shot)
    }
  }

  /// 24 bits a pixel, a gradient whose colours come from the seed.
  static func bitmap(seed: UInt64) -> [UInt8] {
    // Consecutive seeds shall not look alike.
    let mixed = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15
    let tone = (0..<3).map { Int(mixed >> UInt64(8 * $0 + 20)) & 255 }
    var bytes = header()
    bytes.reserveCapacity(headerBytes + width * height * 3)
    for row in 0..<height {
      for column in 0..<width {
        bytes.append(UInt8(truncatingIfNeeded: tone[0] + row * 255 / height))
        bytes.append(UInt8(truncatingIfNeeded: tone[1] + column * 255 / width))
        bytes.append(UInt8(truncatingIfNeeded: tone[2] + (row + column) / 4))
      }
    }
    return bytes
  }

  private static func header() -> [UInt8] {
    let pixels = UInt32(width * height * 3)
    var bytes = Array("BM".utf8)
    func append(_ value: UInt32) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
    append(UInt32(headerBytes) + pixels)
    append(0)
    append(UInt32(headerBytes))
    // The information header: its size, width, height, one plane of 24 bits, uncompressed.
    append(40)
    append(UInt32(width))
    append(UInt32(height))
    append(1 | 24 << 16)
    append(0)
    append(pixels)
    for _ in 0..<4 { append(0) }
    return bytes
  }
}
