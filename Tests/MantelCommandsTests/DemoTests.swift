import Foundation
@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct DemoTests {
  @Test func aChildEndsWhenItIsTold() async throws {
    try await withTemporaryDirectory { directory in
      let log = directory + "/log"
      let child = try ChildProcess(
        executable: "/bin/sh", arguments: ["-c", "echo started $WORD >&2; cat"],
        environment: ["WORD": "well", "PATH": "/usr/bin:/bin"], log: log)
      #expect(!child.hasEnded)
      child.end(patience: .seconds(10))
      #expect(child.hasEnded)
      child.end(patience: .seconds(10))
    }
  }

  @Test func aStubbornChildIsKilled() async throws {
    try await withTemporaryDirectory { directory in
      let child = try ChildProcess(
        executable: "/bin/sh", arguments: ["-c", "trap '' TERM; while :; do sleep 1; done"],
        environment: ["PATH": "/usr/bin:/bin"], log: directory + "/log")
      child.end(patience: .milliseconds(200))
      #expect(child.hasEnded)
    }
  }

  @Test func aProgramThatIsNotThereIsAnError() async throws {
    try await withTemporaryDirectory { directory in
      let error = #expect(throws: CommandFailure.self) {
        try ChildProcess(
          executable: directory + "/none", arguments: [], environment: [:], log: directory + "/log")
      }
      #expect(error?.message.contains("/none") == true)
    }
  }

  @Test func photosAreBitmapsOfTheirOwn() async throws {
    let photo = DemoPhotos.bitmap(seed: 1)
    #expect(photo.count == 54 + 480 * 320 * 3)
    #expect(photo.prefix(6) == [0x42, 0x4d, 0x36, 0x08, 0x07, 0x00])
    let seeds = (0..<3).flatMap { machine in (0..<8).map { UInt64(machine * 1_000 + $0) } }
    #expect(Set(seeds.map { DemoPhotos.bitmap(seed: $0) }).count == seeds.count)
  }

  @Test func treesAreComparedByteForByte() async throws {
    try await withTemporaryDirectory { directory in
      for name in ["a", "b"] { try DemoPhotos.write(below: "\(directory)/\(name)", seed: 7) }
      let (left, right) = (Array("\(directory)/a".utf8), Array("\(directory)/b".utf8))
      let files = try SourceTree.files(below: left).sorted { $0.size < $1.size || $0.modified < $1.modified }
      #expect(files.count == 8)
      #expect(Set(files) == Set(try SourceTree.files(below: right)))
      #expect(files.first?.modified == 1_563_105_600_123_456_789)
      let name = [UInt8(ascii: "/")] + files[0].path
      #expect(SourceTree.areEqual(left + name, right + name))
      #expect(!SourceTree.areEqual(left + name, left + [UInt8(ascii: "/")] + files[1].path))
      #expect(!SourceTree.areEqual(left + name, left + Array("/none".utf8)))
      #expect(SourceTree.file(at: left) == nil)
    }
  }

  @Test func aReportIsPlain() {
    let machine = DemoReport.Machine(
      name: "attic", state: "complete", ownFiles: 8, ownBytes: 3_700_000, copies: 16,
      copiedBytes: 7_400_000, photos: "/p", replica: "/r")
    let report = DemoReport(
      machines: [machine], discovery: "avahi", comparedCopies: 48, comparedBytes: 22_000_000,
      roots: ["attic": String(repeating: "12345678", count: 8)], skipped: 0, seconds: 4, kept: nil)
    #expect(
      report.text == """
        attic  complete  own 8 files, 3.7 MB  copies of the others' 16 files, 7.4 MB
        they found each other through Avahi
        48 copies (22 MB) compared with their originals: every byte, name and time is the same
        root of attic's photos: 1234567812345678, the same on every machine, and all of it held
        the sums that any two machines list for a third one's photos are the same
        it took 4 s
        everything is removed again; --keep leaves it there to look at

        """)
  }
}
