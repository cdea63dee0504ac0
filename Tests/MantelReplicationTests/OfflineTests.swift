import MantelCatalog
import MantelCore
import Testing

@testable import MantelReplication

/// What is not mounted is unknown, never gone.
@Suite struct OfflineTests {
  private let a = content("a")
  private let b = content("b")
  private let disk = bytes("disk")
  private let other = bytes("other")

  private func fresh(_ desk: SingleMachine, _ inode: UInt64 = 7) -> FileStamp {
    desk.stamp(10, mtime: desk.now.wall.nanoseconds, inode: inode)
  }

  private func isLive(_ desk: SingleMachine, _ content: ContentID) throws -> Bool {
    try desk.ownEntries(of: content).contains { $0.state.isLive }
  }

  // MARK: The gate

  @Test func aDeletionWaitsForALookAtTheFolder() throws {
    let desk = try SingleMachine()
    try desk.publish("a", a, fresh(desk))
    desk.looksAtPlaces = false
    try desk.delete("a")
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, a))
    #expect(desk.take().inspections == [[[]]], "asked once")
    try desk.send(.inspected(SingleMachine.folderID, [[]: []], isBack: false))
    #expect(try !isLive(desk, a))
  }

  /// A mount that vanished and came back before anybody looked: its files were missed, and are there.
  @Test func whatIsBackWasNeverGone() throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    for name in ["a", "b"] { try desk.publish(name, content(name), stamp) }
    let order = desk.head?.order
    desk.looksAtPlaces = false
    for name in ["a", "b"] { try desk.sight(name, .gone) }
    try desk.pass(.seconds(100))
    guard
      case .inspect(_, _, let missed)? = desk.take().first(where: {
        if case .inspect = $0 { true } else { false }
      })
    else {
      Issue.record("nobody looks")
      return
    }
    #expect(missed == [bytes("a"), bytes("b")])
    let actions = try desk.send(.inspected(SingleMachine.folderID, [[]: []], isBack: true))
    #expect(actions.contains { if case .rescan = $0 { true } else { false } })
    try desk.scan(["a": stamp])
    desk.looksAtPlaces = true
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, content("a")))
    #expect(try !isLive(desk, content("b")), "the scan says so")
    #expect(desk.head?.order != order)
  }

  /// The look began before this file was missed: it proves nothing of it.
  @Test func aLookThatBeganEarlierProvesNothing() throws {
    let desk = try SingleMachine()
    try desk.write("a", a, fresh(desk))
    try desk.publish("b", b, fresh(desk, 8))
    desk.looksAtPlaces = false
    try desk.delete("a")
    try desk.sight("b", .gone)
    try desk.pass(.milliseconds(1))
    try desk.send(.inspected(SingleMachine.folderID, [[]: []], isBack: false))
    try desk.pass(.seconds(5))
    #expect(try !isLive(desk, a))
    #expect(try isLive(desk, b))
    try desk.send(.inspected(SingleMachine.folderID, [[]: []], isBack: false))
    #expect(try !isLive(desk, b))
  }

  /// A mount that vanishes makes its files and directories go, by events, walks and hashes alike.
  @Test(arguments: [0, 1, 2, 3]) func whatAVanishingMountTakesAlongIsNotGone(how: Int) throws {
    let desk = try SingleMachine()
    let stamp = fresh(desk)
    try desk.publish("d/a", a, stamp)
    desk.places[[]] = .some(nil)
    switch how {
    case 0: try desk.sight("d/a", .gone)
    case 1: try desk.send(.directoryGone(SingleMachine.folderID, bytes("d")))
    case 2: try desk.scan([:])
    default:
      try desk.sight("d/a", .file(fresh(desk, 9), isClosed: true))
      try desk.send(.hashed(SingleMachine.folderID, [FileHash(bytes("d/a"), .gone)]))
    }
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, a))
    #expect(try desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, [])))
    #expect(try desk.report().state != .complete)
    // Back, and then really deleted.
    desk.places[[]] = []
    try desk.scan(["d/a": stamp])
    #expect(try !desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, [])))
    try desk.scan([:])
    try desk.pass(.seconds(100))
    #expect(try !isLive(desk, a))
  }

  @Test func nothingIsAttestedOfAFolderThatCannotBeSeen() throws {
    let desk = try SingleMachine()
    try desk.send(.recovered)
    let stamp = fresh(desk)
    try desk.publish("a", a, stamp)
    func said() -> LibraryAttestation? {
      desk.replicator.attesting.newest[desk.machine]?.record.libraries.first { $0.library == desk.machine }
    }
    try desk.pass(.seconds(5))
    #expect(said()?.missingCount == 0)
    desk.places[[]] = .some(nil)
    try desk.send(.folderOffline(SingleMachine.folderID))
    try desk.pass(.seconds(5))
    #expect(said() == nil)
    desk.places[[]] = []
    try desk.scan(["a": stamp])
    try desk.pass(.seconds(70))
    #expect(said()?.missingCount == 0)
  }

  @Test func deletionsThatWaitAreDroppedWhenTheFolderGoesOffline() throws {
    let desk = try SingleMachine()
    try desk.publish("a", a, fresh(desk))
    try desk.sight("a", .gone)
    try desk.send(.folderOffline(SingleMachine.folderID))
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, a))
    #expect(try desk.report().state == .waiting)
  }

  // MARK: Parts

  /// A folder whose album `m` lies on a disk of its own.
  private func mounted() throws -> SingleMachine {
    let desk = try SingleMachine(filesystem: disk)
    desk.places = [[]: disk, bytes("m"): other]
    let stamps = [desk.stamp(10), desk.stamp(10, inode: 8)]
    try desk.scan(["a": stamps[0], "m/b": stamps[1]], filesystems: ["m": other], default: disk)
    try desk.finishHash("a", a, stamps[0])
    try desk.finishHash("m/b", b, stamps[1])
    try desk.pass(.seconds(3))
    #expect(try isLive(desk, a))
    #expect(try isLive(desk, b))
    return desk
  }

  @Test func mountsAreRememberedWithTheirFilesystem() throws {
    let desk = try mounted()
    let recorded = try desk.catalog.directoryFilesystems(SingleMachine.folderID)
    #expect(recorded.map(\.path) == [bytes("m")])
    #expect(recorded.map(\.filesystem) == [other])
  }

  enum Absence: CaseIterable { case unmounted, swapped, removed }

  @Test(arguments: Absence.allCases, [false, true])
  func aPartThatIsAwayIsNeverDeleted(absence: Absence, restarts: Bool) throws {
    let desk = try mounted()
    if restarts { try desk.restart() }
    let there: [UInt8]? =
      switch absence {
      case .unmounted: disk
      case .swapped: bytes("third")
      case .removed: nil
      }
    desk.places[bytes("m")] = .some(there)
    try desk.send(.directoryGone(SingleMachine.folderID, bytes("m")))
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, b))
    let stamp = try #require(try desk.catalog.file(SingleMachine.folderID, bytes("a"))?.stamp)
    try desk.scan(
      ["a": stamp], filesystems: there.map { ["m": $0] } ?? [:], default: disk)
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, a))
    #expect(try isLive(desk, b))
    #expect(try desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, bytes("m"))))
    // The rest of the folder is as ever.
    try desk.scan([:], filesystems: there.map { ["m": $0] } ?? [:], default: disk)
    try desk.pass(.seconds(100))
    #expect(try !isLive(desk, a))
    #expect(try isLive(desk, b))
  }

  /// What had an identity has none that can be read, or what had none has one: it is another filesystem either way, such as
  /// the disk below a network mount that has gone.
  @Test(arguments: [true, false]) func anIdentityThatComesOrGoesEmptiesNoFolder(isLost: Bool) throws {
    let recorded: [UInt8] = isLost ? disk : []
    let there: [UInt8] = isLost ? [] : disk
    let desk = try SingleMachine(filesystem: recorded)
    let stamp = fresh(desk)
    try desk.publish("d/a", a, stamp)
    desk.places[[]] = there
    try desk.sight("d/a", .gone)
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, a))
    try desk.scan([:], default: there)
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, a))
    #expect(try desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, [])))
    desk.places[[]] = recorded
    try desk.scan(["d/a": stamp])
    #expect(try !desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, [])))
  }

  /// The same of a part of a folder: a mount without an identity is remembered as one, and missed when it has gone.
  @Test func aMountWithoutAnIdentityIsMissedToo() throws {
    let desk = try SingleMachine(filesystem: disk)
    desk.places = [[]: disk, bytes("m"): bytes("")]
    let stamp = desk.stamp(10)
    try desk.scan(["m/b": stamp], filesystems: ["m": []])
    try desk.finishHash("m/b", b, stamp)
    try desk.pass(.seconds(3))
    #expect(try isLive(desk, b))
    #expect(try desk.catalog.directoryFilesystems(SingleMachine.folderID).map(\.filesystem) == [[]])
    desk.places[bytes("m")] = disk
    try desk.scan([:], filesystems: ["m": disk])
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, b))
    #expect(try desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, bytes("m"))))
  }

  /// A disk is mounted over a directory with photos: they are hidden, not gone.
  @Test func aMountThatHidesFilesDeletesNothing() throws {
    let desk = try mounted()
    try desk.publish("d/c", content("c"), fresh(desk, 9))
    desk.places[bytes("d")] = bytes("third")
    let stamp = try #require(try desk.catalog.file(SingleMachine.folderID, bytes("m/b"))?.stamp)
    try desk.scan(["m/b": stamp], filesystems: ["m": other, "d": bytes("third")], default: disk)
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, content("c")))
    #expect(try desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, bytes("d"))))
  }

  /// Watches see a new file on a mount before the first scan comes by.
  @Test(arguments: [true, false]) func aMountWhoseFilesAreThereIsNoneThatHides(isThere: Bool) throws {
    let desk = try SingleMachine(filesystem: disk)
    desk.places = [[]: disk]
    try desk.publish("m/sub/a", a, fresh(desk))
    try desk.send(.scanBegan(SingleMachine.folderID))
    try desk.send(
      .directoryScanned(
        SingleMachine.folderID,
        DirectorySight(
          directory: bytes("m"), files: [], skipped: [], subdirectories: isThere ? [bytes("m/sub")] : [],
          filesystem: other)))
    let reason = StatusReason.folderOffline(SingleMachine.folderID, bytes("m"))
    #expect(try desk.report().reasons.contains(reason) == !isThere)
    #expect(try desk.catalog.directoryFilesystems(SingleMachine.folderID).count == (isThere ? 1 : 0))
  }

  /// A mount without an identity that no former version remembered, and a photo of it was deleted while the agent was down. One
  /// that shows nothing of what is known hides it.
  @Test(arguments: [true, false]) func aMountWithoutAnIdentityThatWasNotRememberedIsThere(isThere: Bool)
    throws
  {
    let desk = try SingleMachine(filesystem: disk)
    desk.places = [[]: disk]
    let kept = fresh(desk, 8)
    try desk.publish("m/a", a, fresh(desk))
    try desk.publish("m/b", b, kept)
    desk.places[bytes("m")] = bytes("")
    try desk.scan(isThere ? ["m/b": kept] : [:], filesystems: ["m": []])
    try desk.pass(.seconds(100))
    let reason = StatusReason.folderOffline(SingleMachine.folderID, bytes("m"))
    #expect(try desk.report().reasons.contains(reason) == !isThere)
    #expect(try desk.catalog.directoryFilesystems(SingleMachine.folderID).count == (isThere ? 1 : 0))
    #expect(try isLive(desk, a) == !isThere)
    #expect(try isLive(desk, b))
  }

  @Test func anUnreadablePartIsAwayUntilItIsReadOrGone() throws {
    let desk = try SingleMachine()
    try desk.publish("d/a", a, fresh(desk))
    try desk.send(.scanBegan(SingleMachine.folderID))
    try desk.send(
      .directoryScanned(
        SingleMachine.folderID, DirectorySight(directory: [], files: [], skipped: [])))
    try desk.send(.directoryAway(SingleMachine.folderID, bytes("d")))
    try desk.send(.scanEnded(SingleMachine.folderID, isComplete: true))
    try desk.pass(.seconds(100))
    #expect(try isLive(desk, a))
    #expect(try desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, bytes("d"))))
    #expect(try !desk.report().reasons.contains(.scanning))
    try desk.scan([:])
    try desk.pass(.seconds(100))
    #expect(try !isLive(desk, a))
    #expect(try !desk.report().reasons.contains(.folderOffline(SingleMachine.folderID, bytes("d"))))
  }
}

extension [ReplicationAction] {
  /// Places that were to be looked at.
  fileprivate var inspections: [[[UInt8]]] {
    compactMap { if case .inspect(_, let places, _) = $0 { places } else { nil } }
  }
}
