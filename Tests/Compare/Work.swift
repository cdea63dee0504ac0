import Foundation

/// A set of files to be copied, described so that every machine makes the same ones.
struct Work: Hashable, Sendable {
  var name: String
  var files: Int
  /// Files are spread evenly over this range of sizes.
  var sizes: ClosedRange<Int>
  var filesPerDirectory: Int
  /// Makes the bytes of this work different from those of others.
  var seed: UInt64

  static let all = [
    Work(name: "photos", files: 300, sizes: 2_500_000...3_500_000, filesPerDirectory: 25, seed: 1),
    Work(name: "small", files: 20_000, sizes: 1_024...30_720, filesPerDirectory: 200, seed: 2),
  ]

  func scaled(by factor: Double) -> Work {
    var work = self
    work.files = max(1, Int((Double(files) * factor).rounded()))
    return work
  }

  /// Of the file of this number, below the work's directory.
  func path(of file: Int) -> String { "\(directory(of: file))/IMG_\(String(100_000 + file)).jpg" }

  var firstDirectory: String { directory(of: 0) }

  private func directory(of file: Int) -> String { "album \(1_000 + file / filesPerDirectory)" }
}

/// A work that lies on the disk.
struct PreparedWork: Sendable {
  let work: Work
  let directory: String
  /// What every copy has to be equal to.
  let original: TreeDigest

  /// Writes the files, with the same bytes and times on each machine and in each run.
  init(_ work: Work, below parent: String) throws {
    self.work = work
    directory = "\(parent)/\(work.name)"
    var random = SplitMix(seed: work.seed)
    for file in 0..<work.files {
      let path = "\(directory)/\(work.path(of: file))"
      if file.isMultiple(of: work.filesPerDirectory) {
        try FileManager.default.createDirectory(
          atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      }
      let size = work.sizes.lowerBound + Int(random.next() % UInt64(work.sizes.count))
      try random.bytes(size).write(to: URL(filePath: path))
      // 2024, a photo a minute: long ago for every tool.
      let taken = Date(timeIntervalSince1970: 1_704_067_200 + 60 * Double(file))
      try FileManager.default.setAttributes([.modificationDate: taken], ofItemAtPath: path)
    }
    original = try TreeDigest(of: directory)
  }

  /// Reads it all: every tool finds it in the page cache; and whoever changed it is found out.
  func warm() throws {
    let now = try TreeDigest(of: directory)
    guard now == original else { throw CompareError("the original was changed: \(original), now \(now)") }
  }
}

/// Pseudo-random bytes at memory speed; no tool can compress them.
struct SplitMix {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }

  mutating func bytes(_ count: Int) -> Data {
    var words: [UInt64] = []
    words.reserveCapacity(count / 8 + 1)
    for _ in 0...(count / 8) { words.append(next().littleEndian) }
    return words.withUnsafeBytes { Data($0.prefix(count)) }
  }
}

struct CompareError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
