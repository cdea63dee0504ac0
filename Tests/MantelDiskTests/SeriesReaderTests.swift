import Glibc
import MantelCore
import Testing

@testable import MantelDisk

extension SeriesReader {
  /// The first bytes of a file below a folder.
  mutating func text(_ path: String, below root: [UInt8], expecting: FileStamp? = nil) throws -> String {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = try bytes.withUnsafeMutableBytes {
      try read(Array(path.utf8), below: .folder(root), at: 0, into: $0, expecting: expecting)
    }
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}

@Suite struct SeriesReaderTests {
  private let scratch: Scratch
  private let fixture: ReplicaFixture

  init() throws {
    scratch = try Scratch()
    fixture = try ReplicaFixture()
  }

  @Test func aKeptDirectoryIsThatOfItsOwnPathAndRoot() throws {
    try scratch.write("a/f", "1")
    try scratch.write("a/g", "2")
    try scratch.write("b/f", "3")
    try scratch.write("f", "4")
    try scratch.write("other/a/f", "5")
    var reader = SeriesReader(replica: fixture.replica)
    #expect(try reader.text("a/f", below: scratch.root) == "1")
    #expect(try reader.text("a/g", below: scratch.root) == "2")
    #expect(try reader.text("b/f", below: scratch.root) == "3")
    #expect(try reader.text("f", below: scratch.root) == "4")
    #expect(try reader.text("a/f", below: scratch.root) == "1")
    #expect(try reader.text("a/f", below: scratch.path("other")) == "5")
  }

  @Test func aDirectoryThatMovedIsLookedForAnew() throws {
    try scratch.write("a/f", "1")
    var reader = SeriesReader(replica: fixture.replica)
    #expect(try reader.text("a/f", below: scratch.root) == "1")
    try scratch.call("a") { [scratch] old in withName(scratch.path("b")) { rename(old, $0) } }
    try scratch.write("a/g", "2")
    #expect(try reader.text("a/g", below: scratch.root) == "2")
  }

  @Test func aFileThatChangedIsTold() throws {
    try scratch.write("a/f", "1")
    try scratch.write("a/g", "2")
    let stamp = try FileReader.stat(root: scratch.root, path: Array("a/g".utf8)).stamp
    var reader = SeriesReader(replica: fixture.replica)
    #expect(try reader.text("a/f", below: scratch.root) == "1")
    #expect(try reader.text("a/g", below: scratch.root, expecting: stamp) == "2")
    try scratch.write("a/g", "changed by somebody")
    #expect {
      _ = try reader.text("a/g", below: scratch.root, expecting: stamp)
    } throws: {
      ($0 as? DiskError)?.code == .changed
    }
  }
}
