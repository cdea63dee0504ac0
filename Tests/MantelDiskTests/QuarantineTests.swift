import MantelCore
import Testing

@testable import MantelDisk

@Suite struct QuarantineTests {
  private let scratch: Scratch
  private let replica: Replica
  private let target = Array(".mantel/quarantine/0123-7 a.jpg".utf8)

  init() throws {
    scratch = try Scratch()
    replica = try Replica.open(
      root: scratch.path("replica"), machine: MachineID(.zero), create: true)
  }

  private func write(_ path: String, _ text: String) throws -> UInt64 {
    try scratch.write("replica/\(path)", text)
    return try replica.stamp(path: Array(path.utf8)).inode
  }

  @Test func aBadFileIsKeptUnderItsNewName() throws {
    let inode = try write("m/f/a.jpg", "bad")
    #expect(try replica.setAside(Array("m/f/a.jpg".utf8), inode: inode, to: target) == target)
    #expect(!scratch.exists("replica/m/f/a.jpg"))
    #expect(try replica.read(path: target, offset: 0, count: 9) == Array("bad".utf8))
    // What was cut off after the move is found done.
    #expect(try replica.setAside(Array("m/f/a.jpg".utf8), inode: inode, to: target) == target)
  }

  @Test func nothingIsReplacedThere() throws {
    let first = try write("m/f/a.jpg", "bad")
    _ = try replica.setAside(Array("m/f/a.jpg".utf8), inode: first, to: target)
    let second = try write("m/f/a.jpg", "bad again")
    let aside = try #require(try replica.setAside(Array("m/f/a.jpg".utf8), inode: second, to: target))
    #expect(aside == target + Array(" (2)".utf8))
    #expect(try replica.read(path: target, offset: 0, count: 9) == Array("bad".utf8))
  }

  /// A disk that gave wrong bytes once may give the right ones again: then the file is the copy that it was.
  @Test func whatWasSetAsideCanComeBack() throws {
    let inode = try write("m/f/a.jpg", "a photo")
    _ = try replica.setAside(Array("m/f/a.jpg".utf8), inode: inode, to: target)
    #expect(try replica.entries(in: Replica.quarantinePath).map(\.path) == [target])
    let found = try replica.hashDurable(path: target)
    let back = FilingOperation.move(
      from: target, path: Array("m/f/a.jpg".utf8), content: found.content, mtime: 7)
    #expect(replica.commit([back])[0].isDone)
    #expect(try replica.read(path: Array("m/f/a.jpg".utf8), offset: 0, count: 9) == Array("a photo".utf8))
    // Nothing is filed there.
    let again = FilingOperation.move(
      from: Array("m/f/a.jpg".utf8), path: target, content: found.content, mtime: 7)
    #expect(replica.commit([again])[0].failureCode == .name)
  }

  @Test func anotherFileOfTheNameStays() throws {
    let inode = try write("m/f/a.jpg", "good")
    #expect(try replica.setAside(Array("m/f/a.jpg".utf8), inode: inode + 1, to: target) == nil)
    #expect(try replica.setAside(Array("m/f/gone.jpg".utf8), inode: inode, to: target) == nil)
    #expect(scratch.exists("replica/m/f/a.jpg"))
  }

  @Test(arguments: ["../a", "m/../../a", ".mantel/marker", ""])
  func pathsCannotLeaveTheReplica(path: String) throws {
    #expect(throws: DiskError.self) { try replica.setAside(Array(path.utf8), inode: 1, to: target) }
    #expect(throws: DiskError.self) {
      try replica.setAside(Array("m/f/a.jpg".utf8), inode: 1, to: Array(path.utf8))
    }
  }

  /// Fails the first, second, ... call, and does it again: the file has one of its names at every moment, and its own
  /// in the end.
  @Test func survivesEveryFailure() throws {
    for number in 1..<20 {
      let faulty = FaultyCalls()
      let root = scratch.path("faulty\(number)")
      _ = try Replica.open(root: root, machine: MachineID(.zero), create: true)
      try scratch.write("faulty\(number)/m/a.jpg", "bad")
      let replica = try Replica.open(
        root: root, machine: MachineID(.zero), create: false, calls: faulty.calls)
      let path = Array("m/a.jpg".utf8)
      let inode = try replica.stamp(path: path).inode
      faulty.fail { _, count in count == number ? 5 : nil }
      let outcome = try? replica.setAside(path, inode: inode, to: target)
      let isThere = scratch.exists("faulty\(number)/m/a.jpg") || (try? replica.stamp(path: target)) != nil
      #expect(isThere)
      faulty.fail { _, _ in nil }
      #expect(try replica.setAside(path, inode: inode, to: target) == target)
      if outcome != nil { return }
    }
    Issue.record("the calls have no end")
  }

  @Test func theDiskIsNamed() {
    let place = DiskPlace(of: Array("/tmp".utf8))
    #expect(place.mountPoint?.hasPrefix("/") == true && place.text?.contains("mounted on /") == true)
    #expect(DiskPlace(of: Array("/no such directory".utf8)).text == nil)
  }
}
