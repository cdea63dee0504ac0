import MantelCatalog
import MantelCore
import Testing

@testable import MantelReplication

/// What becomes of the entries of the own library.
@Suite struct OwnUpdateTests {
  private let a = content("a")
  private let b = content("b")

  private func fresh(_ desk: SingleMachine, _ inode: UInt64 = 7) -> FileStamp {
    desk.stamp(10, mtime: desk.now.wall.nanoseconds, inode: inode)
  }

  private func states(_ desk: SingleMachine, _ content: ContentID) throws -> [String] {
    try desk.ownEntries(of: content).map {
      "\(String(decoding: $0.path, as: UTF8.self)) \($0.state.isLive ? "live" : "retired")"
    }.sorted()
  }

  @Test func anEditRetiresTheOldBytesAsReplaced() throws {
    let desk = try SingleMachine()
    try desk.connect(has: [a])
    try desk.publish("p", a, fresh(desk))
    try desk.publish("p", b, fresh(desk))
    #expect(try states(desk, b) == ["p live"])
    guard case .retired(.replaced, let time)? = try desk.ownEntries(of: a).first?.state else {
      Issue.record("not retired as replaced")
      return
    }
    #expect(abs(time.nanoseconds - desk.now.wall.nanoseconds) < 4_000_000_000)
  }

  @Test func aTouchReplacesTheEntryAndRetiresNothing() throws {
    let desk = try SingleMachine()
    try desk.publish("p", a, fresh(desk))
    let later = fresh(desk)
    try desk.publish("p", a, later)
    #expect(try desk.ownEntries(of: a).map(\.mtime) == [later.mtime])
    #expect(desk.head?.counts.entries == 1)
  }

  @Test func aMoveLeavesNoTrace() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    try desk.publish("p", a, stamp)
    try desk.sight("p", .gone)
    try desk.write("q", a, stamp)
    try desk.pass(.seconds(5))
    #expect(try states(desk, a) == ["q live"])
    #expect(desk.head?.counts.entries == 1)
  }

  @Test func aSwapLeavesNoTrace() throws {
    let desk = try SingleMachine()
    let stamps = [fresh(desk, 1), fresh(desk, 2)]
    try desk.write("p", a, stamps[0])
    try desk.publish("q", b, stamps[1])
    try desk.write("p", b, stamps[1])
    try desk.write("q", a, stamps[0])
    try desk.pass(.seconds(5))
    #expect(try states(desk, a) == ["q live"])
    #expect(try states(desk, b) == ["p live"])
    #expect(desk.head?.counts.entries == 2)
  }

  @Test func aDeletedCopyLeavesNoTraceWhileAnotherLives() throws {
    let desk = try SingleMachine()
    try desk.write("p", a, fresh(desk, 1))
    try desk.publish("q", a, fresh(desk, 2))
    try desk.delete("p")
    #expect(try states(desk, a) == ["q live"])
    #expect(desk.isHeld(a))
  }

  @Test func bothCopiesDeletedAtOnceAreRetired() throws {
    let desk = try SingleMachine()
    try desk.connect(has: [a])
    try desk.write("p", a, fresh(desk, 1))
    try desk.publish("q", a, fresh(desk, 2))
    try desk.sight("p", .gone)
    try desk.delete("q")
    #expect(try states(desk, a) == ["p retired", "q retired"])
    #expect(!desk.isHeld(a))
  }

  @Test func aDeletionBeforeAnyCopyIsUnheld() throws {
    let desk = try SingleMachine()
    try desk.publish("p", a, fresh(desk))
    try desk.delete("p")
    #expect(desk.head?.counts.unheld == 1)
    #expect(desk.head?.counts.retired == 0)
    #expect(try !desk.catalog.isWanted(a))
  }

  /// An own copy that another library asked for is a copy.
  @Test func aDeletionOfWhatTheReplicaHoldsIsRetired() throws {
    let desk = try SingleMachine()
    try desk.publish("p", a, fresh(desk))
    let link = try desk.connect()
    try desk.install(0, 1, [desk.entry("theirs", a)], over: link)
    try desk.fileAll()
    #expect(try desk.catalog.replicaFiles(of: a).count == 1)
    try desk.send(.linkClosed(link))
    try desk.delete("p")
    #expect(try states(desk, a) == ["p retired"])
    #expect(desk.isHeld(a))
  }

  @Test func bytesThatComeBackTakeTheirRetiredEntryBack() throws {
    let desk = try SingleMachine()
    try desk.connect(has: [a, b])
    let stamp = fresh(desk)
    try desk.publish("p", a, stamp)
    try desk.publish("p", b, fresh(desk))
    try desk.publish("p", a, stamp)
    #expect(try states(desk, a) == ["p live"])
    #expect(try states(desk, b) == ["p retired"])
    try desk.publish("p", b, fresh(desk))
    #expect(try states(desk, a) == ["p retired"])
    #expect(try states(desk, b) == ["p live"])
    #expect(desk.head?.counts.entries == 2)
  }

  /// Out of the desktop's trash again: nothing was lost after all.
  @Test func bytesThatComeBackAreNotUnheldAnyMore() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    try desk.publish("p", a, stamp)
    try desk.delete("p")
    #expect(desk.head?.counts.unheld == 1)
    try desk.publish("p", a, stamp)
    #expect(desk.head?.counts.unheld == 0)
    #expect(try states(desk, a) == ["p live"])
  }
}
