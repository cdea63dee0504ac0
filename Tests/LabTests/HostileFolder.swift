import Foundation
import MantelTestSupport

/// A folder with everything that a filesystem allows and a program may not expect.
struct HostileFolder {
  let root: String
  /// Regular files that must be safe.
  private(set) var files = 0
  /// Reasons for what is no regular file, by path.
  private(set) var skipped: [[UInt8]: String] = [:]

  /// Regular files that nobody can see.
  private(set) var hidden: Set<[UInt8]> = []

  /// - Parameter root: exists.
  init(_ root: String) throws {
    self.root = root
    try makeNames()
    try makeContents()
    try makeOthers()
    try makeTimes()
    try makeLongPath()
  }

  private mutating func makeNames() throws {
    let names: [[UInt8]] = [
      Array("new\nline.jpg".utf8), Array("it's \"quoted\".jpg".utf8), Array("-rf".utf8),
      Array("\u{00E9}.jpg".utf8), Array("e\u{0301}.jpg".utf8), Array("Twin.JPG".utf8), Array("twin.jpg".utf8),
      [0xFF, 0xFE, 0x80] + Array(".jpg".utf8), Array(" space .jpg".utf8), Array("tab\tbell\u{07}.jpg".utf8),
      Array("back\\slash.jpg".utf8), Array("*?[a].jpg".utf8), Array("CON".utf8), Array("dot.".utf8),
      Array("\r".utf8), Array("\u{202E}gpj.exe".utf8), Array(".retired".utf8), Array(".hidden.jpg".utf8),
      Array(repeating: UInt8(ascii: "n"), count: 251) + Array(".jpg".utf8),
      Array(String(repeating: "\u{1F98A}", count: 63).utf8) + Array("abc".utf8),
    ]
    for (index, name) in names.enumerated() { try make(name, bytes: 1_000 + index) }
    // The same in directories, which become directories of a replica.
    for name in names {
      let path = Array(root.utf8) + [0x2F] + Array("d".utf8) + name.prefix(254)
      guard mkdir(path.map(CChar.init(bitPattern:)) + [0], 0o755) == 0 else { throw failure("mkdir", path) }
      try make(Array("d".utf8) + name.prefix(254) + Array("/x.jpg".utf8), bytes: 500 + files)
    }
  }

  private mutating func makeContents() throws {
    try make(Array("empty.jpg".utf8), bytes: 0)
    try make(Array("empty too.jpg".utf8), bytes: 0)
    try make(Array("sparse.tif".utf8), bytes: 10)
    guard truncate("\(root)/sparse.tif", 24 << 20) == 0 else { throw failure("truncate", []) }
    for size in [1 << 20, 4 << 20, (4 << 20) + 1] { try make(Array("size \(size).raw".utf8), bytes: size) }
    try make(Array("linked.jpg".utf8), bytes: 70_000)
    guard link("\(root)/linked.jpg", "\(root)/also linked.jpg") == 0 else { throw failure("link", []) }
    files += 1
  }

  private mutating func makeOthers() throws {
    for (name, target) in [
      ("to a file", "empty.jpg"), ("to a directory", "."), ("to nothing", "no\nwhere"),
      ("to outside", "/etc/passwd"),
    ] {
      guard symlink(target, "\(root)/\(name)") == 0 else { throw failure("symlink", Array(name.utf8)) }
      skipped[Array(name.utf8)] = "symlink"
    }
    guard mkfifo("\(root)/pipe.jpg", 0o644) == 0 else { throw failure("mkfifo", []) }
    skipped[Array("pipe.jpg".utf8)] = "special"
    for name in ["Thumbs.db", "half.part"] {
      try make(Array(name.utf8), bytes: 100)
      files -= 1
      skipped[Array(name.utf8)] = "junk"
    }
    try make(Array("private.jpg".utf8), bytes: 100)
    try make(Array("dlocked/unseen.jpg".utf8), bytes: 100, in: "dlocked")
    files -= 2
    hidden.insert(Array("dlocked/unseen.jpg".utf8))
    for name in ["private.jpg", "dlocked"] {
      guard chmod("\(root)/\(name)", 0) == 0 else { throw failure("chmod", Array(name.utf8)) }
      skipped[Array(name.utf8)] = "unreadable"
    }
  }

  private mutating func makeTimes() throws {
    let seconds: [(name: String, value: Int64)] = [
      ("1901.jpg", -2_147_483_648), ("1969.jpg", -1), ("1970.jpg", 0), ("2038.jpg", 2_147_483_648),
      ("2100.jpg", 4_102_444_800),
    ]
    for (name, value) in seconds {
      try make(Array(name.utf8), bytes: 2_000)
      try GeneratedPhotos.setModified("\(root)/\(name)", value * 1_000_000_000 + 999_999_999)
    }
  }

  /// A path that no system call takes in one piece.
  private mutating func makeLongPath() throws {
    let name = [UInt8](repeating: UInt8(ascii: "l"), count: 250)
    var directory = open(root, O_RDONLY | O_DIRECTORY)
    defer { close(directory) }
    for _ in 0..<18 {
      let text = name.map(CChar.init(bitPattern:)) + [0]
      guard mkdirat(directory, text, 0o755) == 0 else { throw failure("mkdirat", name) }
      let next = openat(directory, text, O_RDONLY | O_DIRECTORY)
      guard next >= 0 else { throw failure("openat", name) }
      close(directory)
      directory = next
    }
    let file = openat(directory, "deep.jpg", O_WRONLY | O_CREAT, 0o644)
    guard file >= 0, write(file, "deep", 4) == 4 else { throw failure("openat", name) }
    close(file)
    files += 1
  }

  /// A file of bytes of its own.
  private mutating func make(_ path: [UInt8], bytes: Int, in directory: String? = nil) throws {
    if let directory, mkdir("\(root)/\(directory)", 0o755) != 0 { throw failure("mkdir", path) }
    let full = Array(root.utf8) + [0x2F] + path
    let file = open(full.map(CChar.init(bitPattern:)) + [0], O_WRONLY | O_CREAT | O_EXCL, 0o644)
    guard file >= 0 else { throw failure("open", path) }
    defer { close(file) }
    var content = [UInt8](repeating: UInt8(truncatingIfNeeded: files), count: bytes)
    for (index, byte) in path.enumerated() where index < bytes { content[index] = byte }
    guard write(file, content, bytes) == bytes else { throw failure("write", path) }
    files += 1
  }

  private func failure(_ call: String, _ path: [UInt8]) -> LabError {
    .commandFailed(
      command: "\(call) \(String(decoding: path, as: UTF8.self))", status: errno,
      output: String(cString: strerror(errno)))
  }
}
