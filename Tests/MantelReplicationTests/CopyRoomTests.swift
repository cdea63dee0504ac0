import MantelCore
import Testing

@testable import MantelReplication

/// Copies within the machine leave the reserve of the disks alone.
@Suite struct CopyRoomTests {
  private let a = content("a")
  private let b = content("b")

  private let disk = bytes("disk")

  /// So many bytes beyond the reserve.
  private func room(for bytes: UInt64, sharing: [UInt8]? = nil) -> DiskRoom {
    let total: UInt64 = 1 << 40
    let reserve = DiskSpace(free: 0, total: total).reserve
    return DiskRoom(
      replica: DiskSpace(free: reserve + bytes, total: total), catalog: DiskSpace(free: total, total: total),
      sharing: sharing)
  }

  /// A machine whose own folder has two photos of ten bytes, which a peer has just named too.
  private func machine(
    _ room: DiskRoom, filesystem: [UInt8] = []
  ) throws -> (machine: SingleMachine, link: LinkID) {
    let machine = try SingleMachine(filesystem: filesystem)
    try machine.send(.recovered)
    try machine.publish("a.jpg", a, machine.stamp(10, inode: 1))
    try machine.publish("b.jpg", b, machine.stamp(10, inode: 2))
    try machine.send(.diskRoom(room))
    let link = try machine.connect()
    _ = machine.take()
    try machine.install(0, 1, [machine.entry("a.jpg", a), machine.entry("b.jpg", b)], over: link)
    return (machine, link)
  }

  private func isWaiting(_ machine: SingleMachine) throws -> Bool {
    let report = try machine.report()
    return report.reasons.contains(.diskSpace) && report.state == .waiting && !report.isComplete
  }

  @Test(arguments: [false, true]) func aLowDiskPutsCopiesOffUntilThereIsRoom(isCatalogs: Bool) throws {
    var low = room(for: isCatalogs ? 1 << 30 : 0)
    if isCatalogs { low.catalog.free = low.catalog.reserve }
    let (machine, _) = try machine(low)
    #expect(machine.take().batches.isEmpty)
    #expect(try isWaiting(machine))
    // Nothing is looked at again and again meanwhile.
    #expect(machine.replicator.filing.turn == nil && machine.replicator.filing.nextDeadline == nil)
    try machine.send(.diskRoom(low))
    #expect(machine.take().batches.isEmpty)
    try machine.send(.diskRoom(room(for: 1 << 30)))
    #expect(try machine.fileAll().count == 2)
    #expect(try !machine.report().reasons.contains(.diskSpace))
    #expect(machine.replicator.filing.copies.waiting.isEmpty)
  }

  /// A batch may copy more than the disk has, long before the room is measured again.
  @Test func noMoreIsCopiedThanThereWasRoomFor() throws {
    let (machine, _) = try machine(room(for: 19))
    #expect(try machine.fileAll().count == 1)
    #expect(try isWaiting(machine))
    // Measured before the first copy came to the disk.
    try machine.send(.tick)
    #expect(machine.take().batches.isEmpty)
    try machine.send(.diskRoom(room(for: 9)))
    #expect(machine.take().batches.isEmpty)
    try machine.send(.diskRoom(room(for: 10)))
    #expect(try machine.fileAll().count == 1)
    #expect(try machine.report().missingFiles == 0)
  }

  @Test func theCopiesOfARunningBatchAreNotPromisedToOthers() throws {
    let (machine, _) = try machine(room(for: 25))
    #expect(machine.take().batches.first?.operations.count == 2)
    #expect(machine.replicator.hasRoom(for: 5) && !machine.replicator.hasRoom(for: 6))
  }

  @Test func copiesThatWaitForRoomAreKnownAfterARestart() throws {
    let (machine, _) = try machine(room(for: 0))
    try machine.restart()
    try machine.send(.diskRoom(room(for: 0)))
    #expect(machine.take().batches.isEmpty)
    try machine.restart()
    try machine.send(.tick)
    #expect(Set(machine.take().batches.flatMap(\.operations).map(\.content)) == [a, b])
  }

  /// What needs no new bytes goes on: a name that changes, and a fetched photo that lies in the staging area.
  @Test func movesAndLandingsOfWhatWaitsGoOn() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    let first = machine.entry("1.jpg", a)
    try machine.install(0, 1, [first], over: link)
    try machine.send(.diskRoom(room(for: 0)))
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    #expect(try machine.fileAll().map(\.path) == [bytes("peer0/folder/1.jpg")])
    let second = machine.entry("2.jpg", a, mtime: 9)
    try machine.install(0, 2, [first, second], added: [second], over: link)
    #expect(machine.take().batches.isEmpty)
    #expect(try isWaiting(machine))
    let renamed = machine.entry("new.jpg", a)
    try machine.install(0, 3, [renamed, second], removed: [first], added: [renamed], over: link)
    let moved = try machine.fileAll()
    #expect(moved.count == 1)
    if case .move(let from, _, _, _) = moved.first {
      #expect(from == bytes("peer0/folder/1.jpg"))
    } else {
      Issue.record("\(moved)")
    }
    #expect(try isWaiting(machine))
    try machine.send(.diskRoom(room(for: 1 << 30)))
    #expect(try machine.fileAll().count == 1)
    #expect(try !machine.report().reasons.contains(.diskSpace))
    #expect(try machine.catalog.replicaFiles(of: a).count == 2)
  }

  /// The room is measured while a batch runs, before what it had no room for waits.
  @Test func roomThatComesWhileABatchRunsIsNotForgotten() throws {
    let (machine, _) = try machine(room(for: 19))
    // For the copy that is under way, and one more.
    try machine.send(.diskRoom(room(for: 25)))
    #expect(try machine.fileAll().count == 1)
    #expect(try isWaiting(machine))
    try machine.send(.diskRoom(room(for: 1 << 30)))
    #expect(try machine.fileAll().count == 1)
    #expect(try machine.report().missingFiles == 0)
    #expect(try !machine.report().reasons.contains(.diskSpace))
  }

  @Test func aRunningBatchLeavesNothingWaitingWhereNoCopiesAreOwed() throws {
    let (machine, _) = try machine(room(for: 19))
    try machine.become(.source)
    try machine.fileAll()
    #expect(machine.replicator.filing.running == nil && machine.replicator.filing.copies.waiting.isEmpty)
    #expect(try !machine.report().reasons.contains(.diskSpace))
  }

  @Test func aMachineThatOwesNoCopiesWaitsForNone() throws {
    let (machine, _) = try machine(room(for: 0))
    try machine.become(.source)
    #expect(try !machine.report().reasons.contains(.diskSpace))
  }

  // MARK: Copies that share their bytes

  @Test func copiesThatShareTheirBytesGoOnWhereTheDiskIsLow() throws {
    let (machine, _) = try machine(room(for: 0, sharing: disk), filesystem: disk)
    #expect(try machine.fileAll().count == 2)
    #expect(try !machine.report().reasons.contains(.diskSpace))
  }

  /// Its bytes come from another disk, or from one of which nothing is known.
  @Test(arguments: [bytes("another"), []]) func anOwnFileOnAnotherFilesystemSharesNothing(
    filesystem: [UInt8]
  ) throws {
    for sharing in [disk, []] {
      let (machine, _) = try machine(room(for: 0, sharing: sharing), filesystem: filesystem)
      #expect(machine.take().batches.isEmpty)
      #expect(try isWaiting(machine))
    }
  }

  @Test func aCopyOfAReplicaFileSharesItsBytesWithoutAnOwnFile() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    let first = machine.entry("1.jpg", a)
    try machine.install(0, 1, [first], over: link)
    try machine.send(.diskRoom(room(for: 0, sharing: disk)))
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.fileAll()
    let second = machine.entry("2.jpg", a, mtime: 9)
    try machine.install(0, 2, [first, second], added: [second], over: link)
    #expect(try machine.fileAll().map(\.path) == [bytes("peer0/folder/2.jpg")])
  }

  @Test func aFullCatalogDiskPutsOffCopiesThatShareToo() throws {
    var low = room(for: 1 << 30, sharing: disk)
    low.catalog.free = low.catalog.reserve
    let (machine, _) = try machine(low, filesystem: disk)
    #expect(machine.take().batches.isEmpty)
    #expect(try isWaiting(machine))
  }

  /// Single files may refuse to share their bytes: they do not eat up all that is left.
  @Test func halfOfTheReserveIsLeftByCopiesThatShareToo() throws {
    var low = room(for: 0, sharing: disk)
    let half = low.replica.reserve / 2
    low.replica.free = half
    let (machine, _) = try machine(low, filesystem: disk)
    #expect(machine.take().batches.isEmpty)
    low.replica.free = half + 19
    try machine.send(.diskRoom(low))
    #expect(try machine.fileAll().count == 1)
    #expect(try isWaiting(machine))
    try machine.send(.diskRoom(low))
    #expect(try machine.fileAll().count == 1)
    #expect(try machine.report().missingFiles == 0)
  }

  /// The look at the filesystem may fail at first: what waited for more room than it needs does so no longer.
  @Test func copiesThatWaitGoOnWhenTheFilesystemIsFoundToShare() throws {
    let (machine, _) = try machine(room(for: 0), filesystem: disk)
    #expect(machine.take().batches.isEmpty)
    try machine.send(.diskRoom(room(for: 0, sharing: disk)))
    #expect(try machine.fileAll().count == 2)
    #expect(machine.replicator.filing.copies.waiting.isEmpty)
  }

  @Test func aCopyThatSharesTakesRoomForItsMetadataAlone() throws {
    #expect(CopyCost(of: 1 << 30, isShared: false).bytes == 1 << 30)
    #expect(CopyCost(of: 1 << 30, isShared: true).bytes == (16 << 10) + (1 << 20))
    // Never more than a copy that does not.
    #expect(CopyCost(of: 10, isShared: true).bytes == 10 && CopyCost(of: 0, isShared: true).bytes == 0)
    let (machine, _) = try machine(room(for: 5 << 20, sharing: disk))
    #expect(machine.replicator.copyLimit(of: CopyCost(of: 1 << 30, isShared: false)) == 0)
    #expect(machine.replicator.copyLimit(of: CopyCost(of: 1 << 30, isShared: true)) > 4)
  }
}
