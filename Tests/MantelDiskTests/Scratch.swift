import Glibc
import MantelCore
import Synchronization
import Testing

@testable import MantelDisk

/// A temporary directory that goes with its last owner; reaches any name and depth.
final class Scratch: Sendable {
  let root: [UInt8]

  init() throws {
    var template = Array("/tmp/mantel-disk-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    root = template.dropLast().map { UInt8(bitPattern: $0) }
  }

  deinit {
    if let parent = try? Directory(root: Array("/tmp".utf8)) {
      Self.removeTree(parent, Array(root.dropFirst("/tmp/".utf8.count)))
    }
  }

  func path(_ name: String) -> [UInt8] { root + Array("/\(name)".utf8) }

  func makeDirectory(_ path: [UInt8]) throws {
    var directory = try Directory(root: root)
    for name in RelativePath.components(path) {
      _ = DiskCalls.system.mkdir(directory.descriptor, name)
      directory = try directory.directory(name)
    }
  }

  /// Writes a file, making its directories.
  func write(_ path: [UInt8], _ bytes: [UInt8]) throws {
    try makeDirectory(FilingBatch.parentPath(path))
    let (directory, name) = try Directory(root: root).parent(of: path)
    let made = DiskCalls.system.create(directory.descriptor, name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    try #require(made >= 0)
    try OpenFile(Int32(made)).write(bytes, at: 0, path: path, calls: .system)
  }

  func write(_ path: String, _ text: String) throws { try write(Array(path.utf8), Array(text.utf8)) }

  func call(_ path: String, _ body: (UnsafePointer<CChar>) -> Int32) throws {
    try #require(withName(self.path(path), body) == 0)
  }

  func symlink(_ target: String, at path: String) throws {
    try call(path) { Glibc.symlink(target, $0) }
  }

  func exists(_ path: String) -> Bool { (try? Directory(root: root).status(Array(path.utf8))) != nil }

  private static func removeTree(_ parent: Directory, _ name: [UInt8]) {
    guard DiskCalls.system.unlink(parent.descriptor, name, false) < 0 else { return }
    if let directory = try? parent.directory(name) {
      var names: [[UInt8]] = []
      try? directory.forEachEntry { name, _ in names.append(name) }
      for name in names { removeTree(directory, name) }
    }
    _ = DiskCalls.system.unlink(parent.descriptor, name, true)
  }
}

/// System calls that are counted and named, and of which chosen ones fail.
final class FaultyCalls: Sendable {
  struct State {
    var log: [String] = []
    var shouldFail: @Sendable (_ call: String, _ number: Int) -> Int32? = { _, _ in nil }
    /// What a filesystem says of a new name that it cannot hold.
    var refuses: @Sendable (_ name: [UInt8]) -> Int32? = { _ in nil }
    /// All lies on a network filesystem.
    var isRemote = false
    /// What the filesystem says when a file is to share the bytes of another; nil: what it says by itself.
    var reflink: Int?
    var reflinks = 0
  }
  let state = Mutex(State())

  var log: [String] { state.withLock { $0.log } }

  func fail(_ rule: @escaping @Sendable (_ call: String, _ number: Int) -> Int32?) {
    state.withLock {
      $0.log = []
      $0.shouldFail = rule
    }
  }

  private func run(_ name: String, newName: [UInt8]? = nil, _ call: () -> Int) -> Int {
    let failure = state.withLock { state in
      state.log.append(name)
      return newName.flatMap { state.refuses($0) } ?? state.shouldFail(name, state.log.count)
    }
    return failure.map { -Int($0) } ?? call()
  }

  var calls: DiskCalls {
    let system = DiskCalls.system
    return DiskCalls(
      create: { a, b, c, d in self.run("create") { system.create(a, b, c, d) } },
      write: { a, b, c in self.run("write") { system.write(a, b, c) } },
      allocate: { a, b in
        let outcome = self.run("allocate") { system.allocate(a, b) }
        // As ext4 does: what could be had of the space stays reserved.
        if outcome < 0 { _ = system.allocate(a, b / 2) }
        return outcome
      },
      fsync: { a in self.run("fsync") { system.fsync(a) } },
      fdatasync: { a in self.run("fdatasync") { system.fdatasync(a) } },
      syncfs: { a in self.run("syncfs") { system.syncfs(a) } },
      writeOut: { a in self.run("writeOut") { system.writeOut(a) } },
      rename: { a, b, c, d in self.run("rename", newName: d) { system.rename(a, b, c, d) } },
      link: { a, b, c, d in self.run("link", newName: d) { system.link(a, b, c, d) } },
      unlink: { a, b, c in self.run("unlink") { system.unlink(a, b, c) } },
      mkdir: { a, b in self.run("mkdir", newName: b) { system.mkdir(a, b) } },
      // Not counted either: a refusal is no failure, and disks differ in that.
      reflink: { a, b in
        let told = self.state.withLock { state in
          state.reflinks += 1
          return state.reflink
        }
        return told ?? system.reflink(a, b)
      },
      replace: { a, b, c, d in self.run("replace", newName: d) { system.replace(a, b, c, d) } },
      // No call that changes anything, so that it is not counted.
      isOnLocalDisk: { a in self.state.withLock { $0.isRemote } ? 0 : system.isOnLocalDisk(a) })
  }
}

func sha256(_ bytes: [UInt8]) -> Digest256 { Digest256(hashing: bytes) }

func content(_ bytes: [UInt8]) -> ContentID { ContentID(sha256(bytes)) }

/// Bytes that are different at every place, the same in every run.
func sampleBytes(_ count: Int, seed: UInt8 = 1) -> [UInt8] {
  var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count)
  while bytes.count < count {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    withUnsafeBytes(of: state) { bytes.append(contentsOf: $0) }
  }
  bytes.removeLast(bytes.count - count)
  return bytes
}

/// 40 directories with names of 200 bytes: twice PATH_MAX.
let deepPath: [UInt8] = {
  var path: [UInt8] = []
  for index in 0..<40 { path += Array("\(index % 10)".utf8) + [UInt8](repeating: 0x64, count: 199) + [0x2F] }
  return path
}()

extension Folder {
  init(_ scratch: Scratch, excludes: [String] = []) {
    self.init(
      id: FolderID(high: 1, low: 2), name: "Photos", root: scratch.root, excludes: excludes, filesystem: [])
  }
}

/// The files that a whole walk finds, and what it skips, in the order of the walk.
func walk(_ walker: FolderWalker) throws -> (files: [[UInt8]], skipped: [[UInt8]: SkipReason]) {
  var files: [[UInt8]] = []
  var skipped: [[UInt8]: SkipReason] = [:]
  var open: [[UInt8]] = [[]]
  while let next = open.popLast() {
    let listing = try walker.directory(next)
    files += listing.files.map(\.path)
    for (path, reason) in listing.skipped { skipped[path] = reason }
    open += listing.subdirectories.reversed()
  }
  return (files, skipped)
}
