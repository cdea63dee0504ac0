import MantelCore
import Testing

@testable import MantelReplication

/// What becomes of batches that fail, or that the world has overtaken.
@Suite struct FilingTests {
  private let a = content("a")
  private let b = content("b")

  /// A machine that has fetched these photos of its peer, and not filed them yet.
  private func machine(_ photos: [ContentID], entries: [Entry]? = nil) throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: photos)
    let named = photos.map { machine.entry("\($0.digest.word0).jpg", $0) }
    try machine.install(0, 1, entries ?? named, over: link)
    _ = machine.take()
    for photo in photos { try machine.send(.unitVerified(link, UnitID(content: photo, part: .whole))) }
    return (machine, link)
  }

  private func failure(_ code: FilingFailure.Code) -> FilingResult {
    .failed(FilingFailure(code: code, errno: 5, message: "a test"))
  }

  @Test(arguments: [FilingFailure.Code.noSpace, .io, .name, .notMounted, .other])
  func bytesThatCouldNotBeLandedAreKeptAndTriedAgain(code: FilingFailure.Code) throws {
    let (machine, link) = try machine([a])
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [failure(code)]))
    #expect(!machine.isHeld(a))
    #expect(try machine.report().reasons.contains(.filing))
    let actions = machine.take()
    #expect(actions.orders(link).isEmpty && actions.batches.isEmpty)
    try machine.pass(machine.settings.retry)
    let again = machine.take()
    #expect(again.orders(link).isEmpty, "they are in the staging area")
    #expect(again.batches.first?.operations == batch.operations)
  }

  @Test func afterAFailedSyncBytesAreFetchedAgain() throws {
    let (machine, link) = try machine([a])
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [failure(.sync)]))
    let actions = machine.take()
    #expect(actions.orders(link).map(\.unit.content) == [a])
    #expect(!machine.isHeld(a) && !machine.isAvailable(a))
  }

  /// What was landed is fetched again after each of them, and on a dying disk that has no end.
  @Test func aDiskThatFailsToSyncAgainAndAgainIsLeftAlone() throws {
    let (machine, link) = try machine([a])
    for fault in 1...machine.settings.failingSyncs {
      let batch = try #require(machine.take().batches.first)
      #expect(try !machine.report().reasons.contains(.failingDisk))
      try machine.send(.filed(batch.id, [failure(.sync)]))
      guard fault < machine.settings.failingSyncs else { break }
      try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
      try machine.pass(.seconds(60))
    }
    #expect(try machine.report().reasons.contains(.failingDisk))
    #expect(try machine.report().state == .attention)
    try machine.pass(.seconds(3_600))
    let actions = machine.take()
    #expect(actions.orders(link).isEmpty && actions.batches.isEmpty)
    // Somebody has looked at its cable.
    try machine.send(.replicaAway)
    try machine.send(.replicaMounted)
    try machine.pass(.seconds(60))
    #expect(try !machine.report().reasons.contains(.failingDisk))
    let resumed = machine.take()
    #expect(Set(resumed.orders(link).map(\.unit.content)) == [a] && !resumed.batches.isEmpty)
  }

  @Test func aFullDiskIsNoFailingOne() {
    var faults = SyncFaults()
    for number: Int32 in [28, 122] {
      faults.ended([.failed(FilingFailure(code: .sync, errno: number, message: "full"))])
    }
    faults.ended([failure(.io), failure(.noSpace), .sourceChanged])
    #expect(faults.batches == 0)
    faults.ended([.sourceChanged, failure(.sync), failure(.sync)])
    #expect(faults.batches == 1, "one sync for all of them")
  }

  @Test func aBadFileHoldsUpNobodyElse() throws {
    let (machine, link) = try machine([a])
    let first = try #require(machine.take().batches.first)
    try machine.install(
      0, 2, [machine.entry("\(a.digest.word0).jpg", a), machine.entry("b.jpg", b)],
      added: [machine.entry("b.jpg", b)], over: link)
    try machine.send(.availabilityChanged(link, added: [b], removed: []))
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    try machine.send(.filed(first.id, [failure(.name)]))
    try machine.pass(machine.settings.retry)
    // Both in one batch now: the bad one fails again, alone.
    let both = try #require(machine.take().batches.last)
    #expect(both.operations.count == 2)
    let results = both.operations.map { operation in
      if case .land(b, let path, _) = operation {
        FilingResult.done(path: path, machine.stamp(10))
      } else {
        failure(.name)
      }
    }
    try machine.send(.filed(both.id, results))
    #expect(machine.isHeld(b) && !machine.isHeld(a))
    // And what comes next does not wait until it is tried again.
    let c = content("c")
    try machine.install(
      0, 3,
      [
        machine.entry("\(a.digest.word0).jpg", a), machine.entry("b.jpg", b), machine.entry("c.jpg", c),
      ], added: [machine.entry("c.jpg", c)], over: link)
    try machine.send(.availabilityChanged(link, added: [c], removed: []))
    _ = machine.take()
    try machine.send(.unitVerified(link, UnitID(content: c, part: .whole)))
    #expect(machine.take().batches.first?.operations.count == 1)
  }

  @Test func aReplicaFileThatIsNotThereToBeMovedIsMissing() throws {
    let (machine, link) = try machine([a], entries: nil)
    try machine.fileAll()
    #expect(machine.isHeld(a))
    let old = machine.entry("\(a.digest.word0).jpg", a)
    let moved = machine.entry("moved.jpg", a)
    try machine.install(0, 2, [moved], removed: [old], added: [moved], over: link)
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [.sourceChanged]))
    guard let target = machine.take().rereads.first else {
      Issue.record("the file is not looked at")
      return
    }
    try machine.send(.reread(target, .gone))
    #expect(!machine.isHeld(a))
    #expect(machine.take().orders(link).map(\.unit.content) == [a])
  }

  @Test func anEntryThatCameWhileItsContentWasFiledIsFiledToo() throws {
    let (machine, link) = try machine([a])
    let batch = try #require(machine.take().batches.first)
    let first = machine.entry("\(a.digest.word0).jpg", a)
    let second = machine.entry("copy.jpg", a, mtime: 9)
    try machine.install(0, 2, [first, second], added: [second], over: link)
    let landed = batch.operations[0].path
    try machine.send(.filed(batch.id, [.done(path: landed, machine.stamp(10))]))
    let paths = machine.take().batches.flatMap(\.operations).map { String(decoding: $0.path, as: UTF8.self) }
    #expect(paths == ["peer0/folder/copy.jpg"])
  }

  @Test func aFileThatWasLostWhileItsBatchRanIsNotTakenForHeld() throws {
    let (machine, link) = try machine([a])
    try machine.fileAll()
    let first = machine.entry("\(a.digest.word0).jpg", a)
    let second = machine.entry("copy.jpg", a, mtime: 9)
    try machine.install(0, 2, [first, second], added: [second], over: link)
    let batch = try #require(machine.take().batches.first)
    let lost = try #require(try machine.catalog.replicaFiles(of: a).first).path
    try machine.lose(lost)
    try machine.send(.filed(batch.id, [failure(.io)]))
    // It may have moved: a second look, once the batch has ended.
    #expect(machine.take().rereads == [.replica(lost), .replica(lost)])
    try machine.send(.reread(.replica(lost), .gone))
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
    #expect(!machine.isHeld(a))
  }

  /// A machine that has the bytes of one content, and is to file them at two places.
  private func twoPlaces() throws -> (machine: SingleMachine, link: LinkID) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    try machine.install(
      0, 1, [machine.entry("1.jpg", a, mtime: 1), machine.entry("2.jpg", a, mtime: 2)], over: link)
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    return (machine, link)
  }

  /// One of two copies is lost; the process dies before it was made again, and misses it again when it is back.
  @Test func aCopyThatWasLostIsMissedAfterARestartToo() throws {
    let machine = try twoPlaces().machine
    try machine.fileAll()
    let path = try #require(try machine.catalog.replicaFiles(of: a).first).path
    for _ in 0..<2 {
      try machine.lose(path)
      #expect(machine.isHeld(a), "the other file has the bytes")
      #expect(machine.take().batches.flatMap(\.operations).map(\.path) == [path])
      try machine.restart()
    }
    try machine.lose(path)
    try machine.fileAll()
    #expect(try machine.catalog.replicaFiles(of: a).count == 2)
  }

  /// One of two places could be filled. The process dies before the other is tried again, perhaps in the middle of the batch
  /// before that.
  @Test(arguments: [false, true]) func aPlaceThatCouldNotBeFilledIsKnownAfterARestart(isCutOff: Bool) throws {
    let machine = try twoPlaces().machine
    var batch = try #require(machine.take().batches.first)
    #expect(batch.operations.count == 2)
    if isCutOff {
      try machine.restart()
      batch = try #require(try machine.send(.recovered).batches.first)
    }
    let landed = FilingResult.done(path: batch.operations[0].path, machine.stamp(10, mtime: 1))
    try machine.send(.filed(batch.id, [landed, failure(.noSpace)]))
    #expect(machine.isHeld(a))
    for _ in 0..<2 {
      try machine.restart()
      #expect(try machine.send(.recovered).batches.first?.operations == [batch.operations[1]])
    }
    // The second time that batch was cut off too.
    let again = try #require(machine.take().batches.first)
    try machine.send(.filed(again.id, [.done(path: batch.operations[1].path, machine.stamp(10, mtime: 2))]))
    try machine.fileAll()
    #expect(try machine.catalog.unfiled(limit: 9).isEmpty)
  }

  /// Nothing of a large library is here when it is installed: no event may be spent on a plan for each content.
  @Test func aFirstInstallIsFiledInStepsAndWithoutPlans() throws {
    var settings = ReplicationSettings()
    settings.absentRows = 10
    settings.batchFiles = 2
    let machine = try SingleMachine(settings: settings)
    let link = try machine.connect()
    let photos = (0..<25).map { content("photo \($0)") }
    try machine.install(0, 1, photos.enumerated().map { machine.entry("\($0).jpg", $1) }, over: link)
    let isIdle = machine.replicator.isFilingIdle
    #expect(!isIdle)
    #expect(try machine.catalog.unfiled(limit: 99).count == 15, "one step an event")
    let ticks = try machine.pass(.zero)
    #expect(ticks <= 4)
    #expect(try machine.catalog.unfiled(limit: 99).isEmpty)
    #expect(try machine.report().missingFiles == photos.count)
    let isDone = machine.replicator.isFilingIdle
    #expect(isDone)
  }

  /// The same bytes under another time: held all along, and the time is set right without a peer.
  @Test func aReplicaFileThatWasTouchedIsHeldAndGetsItsTimeBack() throws {
    let (machine, link) = try machine([a])
    try machine.fileAll()
    let file = try #require(try machine.catalog.replicaFiles(of: a).first)
    try machine.send(.replicaFileDoubted(file.path))
    try machine.send(
      .reread(.replica(file.path), .read(a, machine.stamp(10, mtime: 99, inode: file.stamp.inode))))
    #expect(machine.isHeld(a) && machine.isAvailable(a))
    let actions = machine.take()
    #expect(actions.orders(link).isEmpty)
    #expect(
      actions.batches.first?.operations == [
        .move(from: file.path, path: file.path, content: a, mtime: file.stamp.mtime)
      ])
  }

  /// The process dies while another batch holds that up.
  @Test func aReplicaFileThatWasTouchedGetsItsTimeBackAfterARestartToo() throws {
    let (machine, link) = try machine([a])
    try machine.fileAll()
    let file = try #require(try machine.catalog.replicaFiles(of: a).first)
    let second = machine.entry("b.jpg", b)
    try machine.install(
      0, 2, [machine.entry("\(a.digest.word0).jpg", a), second], added: [second], over: link)
    try machine.send(.availabilityChanged(link, added: [b], removed: []))
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    try machine.send(.replicaFileDoubted(file.path))
    try machine.send(
      .reread(.replica(file.path), .read(a, machine.stamp(10, mtime: 99, inode: file.stamp.inode))))
    try machine.restart()
    try machine.send(.recovered)
    let done = try machine.fileAll()
    #expect(done.contains(.move(from: file.path, path: file.path, content: a, mtime: file.stamp.mtime)))
  }

  /// The look was at a name that a batch has given to another content since.
  @Test func aLookAtAnotherContentIsNotBelieved() throws {
    let (machine, _) = try machine([a])
    try machine.fileAll()
    let file = try #require(try machine.catalog.replicaFiles(of: a).first)
    try machine.send(.replicaFileDoubted(file.path))
    var other = file
    other.content = b
    try machine.catalog.commitFiling(put: [other], removed: [], filed: [])
    try machine.send(.reread(.replica(file.path), .read(a, machine.stamp(11))))
    #expect(try machine.catalog.replicaFiles(of: b).map(\.stamp) == [file.stamp])
  }

  /// The batch had moved the file on when its old name was looked at.
  @Test func aFileThatABatchMovesIsNotTakenForLost() throws {
    let (machine, link) = try machine([a])
    try machine.fileAll()
    let file = try #require(try machine.catalog.replicaFiles(of: a).first)
    let moved = machine.entry("moved.jpg", a)
    try machine.install(
      0, 2, [moved], removed: [machine.entry("\(a.digest.word0).jpg", a)], added: [moved], over: link)
    let batch = try #require(machine.take().batches.first)
    try machine.lose(file.path)
    #expect(machine.isHeld(a))
    let path = batch.operations[0].path
    _ = machine.take()
    try machine.send(.filed(batch.id, [.done(path: path, file.stamp)]))
    #expect(machine.take().rereads == [.replica(path)])
    try machine.send(.reread(.replica(path), .read(a, file.stamp)))
    #expect(machine.isHeld(a))
    #expect(try machine.report().reasons.contains(.badFiles(files: 1)) == false)
  }

  @Test func bothCopiesLostAreMissing() throws {
    let (machine, link) = try twoPlaces()
    try machine.fileAll()
    _ = machine.take()
    let files = try machine.catalog.replicaFiles(of: a)
    for file in files { try machine.lose(file.path) }
    // The copy of the one that was made of the other meanwhile comes to nothing.
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [.sourceChanged]))
    #expect(machine.take().rereads == [.replica(files[1].path)])
    try machine.send(.reread(.replica(files[1].path), .gone))
    #expect(!machine.isHeld(a))
    #expect(machine.take().orders(link).map(\.unit.content) == [a])
  }

  @Test func resultsOfAnEarlierValueAreNotTaken() throws {
    let (machine, _) = try machine([a])
    let old = try #require(machine.take().batches.first)
    try machine.pass(.milliseconds(1))
    try machine.restart()
    try machine.send(.stagedFound(a, blocks: nil))
    let new = try #require(machine.take().batches.first)
    #expect(new.id != old.id)
    try machine.send(.filed(old.id, []))
    #expect(!machine.isHeld(a))
  }

  /// The bytes that both have are copied here, never sent; the process may die before the copy was recorded.
  @Test func aCopyOfAnOwnFileThatWasCutOffIsMadeAfterTheRestart() throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    try machine.install(0, 1, [machine.entry("theirs.jpg", a)], over: link)
    try machine.publish("mine.jpg", a, machine.stamp(10))
    let batch = try #require(machine.take().batches.first)
    try machine.restart()
    try machine.send(.tick)
    #expect(machine.take().batches.first?.operations == batch.operations)
  }

  /// Two files of the same bytes have changed their names: neither may be taken for the other that is to come.
  @Test func twinsThatChangePlacesStayTwo() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    let before = [machine.entry("1.jpg", a, mtime: 1), machine.entry("2.jpg", a, mtime: 2)]
    try machine.install(0, 1, before, over: link)
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.fileAll()
    let after = [machine.entry("1.jpg", a, mtime: 2), machine.entry("2.jpg", a, mtime: 1)]
    try machine.install(0, 2, after, removed: before, added: after, over: link)
    for operation in machine.take().batches.flatMap(\.operations) {
      guard case .move(let from, let path, _, _) = operation else {
        Issue.record("\(operation)")
        continue
      }
      #expect(from == path, "only the time changes")
    }
  }

  /// A file is copied and the original edited before the copy is out: the peers hear that the bytes are still here.
  @Test func bytesThatAnotherFileStillHasAreAnnouncedAgain() throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    try machine.publish("original.jpg", a, machine.stamp(10))
    try machine.write("copy.jpg", a, machine.stamp(10, inode: 8))
    try machine.sight("original.jpg", .file(machine.stamp(11, ctime: 5), isClosed: true))
    try machine.pass(.seconds(3))
    #expect(machine.isAvailable(a))
    #expect(machine.take().told(link, of: a) == true)
  }

  /// Bytes that have come and are not at their place yet do not take the place of an own file that goes.
  @Test func whatIsStagedIsNotHeldBecauseAnOwnFileWas() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a])
    try machine.install(0, 1, [machine.entry("1.jpg", a)], over: link)
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.publish("own.jpg", a, machine.stamp(10))
    #expect(machine.isHeld(a))
    try machine.sight("own.jpg", .gone)
    try machine.pass(.seconds(5))
    #expect(try machine.status("own.jpg") == nil)
    #expect(!machine.isHeld(a))
    try machine.fileAll()
    #expect(machine.isHeld(a))
  }

  /// Its user may delete it, and nobody else's photo depends on that.
  @Test func whatOnlyAnOwnFileHasIsNotAttestedOfOthersLibraries() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let photo = content("in my own folder")
    try machine.publish("x.jpg", photo, machine.stamp(10))
    let link = try machine.connect()
    try machine.pass(.seconds(2))
    _ = machine.take()
    try machine.install(0, 1, [machine.entry("1.jpg", photo)], over: link)
    let asked = machine.take()
    let batch = try #require(asked.batches.first)
    let full = FilingResult.failed(FilingFailure(code: .noSpace, errno: 28, message: "full"))
    try machine.send(.filed(batch.id, batch.operations.map { _ in full }))
    try machine.pass(.seconds(2))
    #expect(machine.isHeld(photo))
    #expect(try machine.report().missingFiles == 1)
    let owner = machine.peers[0].machine
    let said = (asked + machine.take()).attestations
    let before = said.last?.libraries.first { $0.library == owner }
    #expect(before?.missing == [photo] && before?.missingCount == 1)
    #expect(before?.heldRoot == machine.statement(owner, .none, held: []).heldRoot)
    try machine.pass(machine.settings.retry)
    try machine.fileAll()
    try machine.pass(.seconds(2))
    let after = machine.take().attestations.last?.libraries.first { $0.library == owner }
    #expect(after?.missingCount == 0)
    #expect(after?.heldRoot == machine.statement(owner, .none, held: [photo]).heldRoot)
  }
}
