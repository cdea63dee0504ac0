import MantelCore
import Testing

@testable import MantelReplication

/// What is signed of the copies here while it is not known whether they are: an old catalog, or another state of the replica's
/// disk, names what has gone since.
@Suite struct AttestedCopiesTests {
  private let a = content("a")
  private let b = content("b")
  private let c = content("c")

  /// A machine that holds, and has attested, these photos of its peer.
  private func machine(
    _ photos: [ContentID], settings: ReplicationSettings = ReplicationSettings()
  ) throws -> (SingleMachine, [ReplicaFile]) {
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    let link = try machine.connect(has: photos)
    let entries = photos.enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }
    try machine.install(0, 1, entries, over: link)
    for photo in photos { try machine.send(.unitVerified(link, UnitID(content: photo, part: .whole))) }
    try machine.fileAll()
    try machine.pass(.seconds(61))
    #expect(missing(machine) == [])
    return (machine, try photos.flatMap { try machine.catalog.replicaFiles(of: $0) })
  }

  /// The same after a restart, before a first comparison has ended.
  private func restarted(
    _ photos: [ContentID], settings: ReplicationSettings = ReplicationSettings()
  ) throws -> (SingleMachine, [ReplicaFile]) {
    let (machine, files) = try machine(photos, settings: settings)
    machine.comparesReplica = false
    try machine.restart()
    try machine.send(.recovered)
    _ = machine.take()
    return (machine, files)
  }

  private func word(_ machine: SingleMachine) -> Attestation? {
    machine.replicator.attesting.newest[machine.machine]?.record
  }

  /// What the newest own word calls missing of the peer's library; nil: it says nothing of it.
  private func missing(_ machine: SingleMachine) -> [ContentID]? {
    word(machine)?.libraries.first { $0.library == machine.peers[0].machine }?.missing
  }

  private func good(_ file: ReplicaFile) -> ReplicationEvent {
    .reread(.replica(file.path), .read(file.content, file.stamp))
  }

  private func doubt(_ files: [ReplicaFile], on machine: SingleMachine) throws {
    for file in files { try machine.send(.replicaFileDoubted(file.path)) }
  }

  /// Something that is worth a new word.
  private func publish(_ name: String, on machine: SingleMachine) throws {
    try machine.publish(name, content(name), machine.stamp(10))
    try machine.pass(.seconds(61))
  }

  @Test func nothingIsSignedBeforeTheReplicaWasCompared() throws {
    let (machine, _) = try restarted([a])
    let before = word(machine)
    try publish("new.jpg", on: machine)
    #expect(word(machine) == before)
    #expect(try machine.report().reasons.contains(.checkingReplica))
    try machine.compare()
    #expect(word(machine) != before && missing(machine) == [])
    #expect(try !machine.report().reasons.contains(.checkingReplica))
  }

  @Test func norBeforeWhatIsInDoubtWasRead() throws {
    let (machine, files) = try restarted([a, b])
    let before = word(machine)
    try doubt(files, on: machine)
    try machine.compare()
    try machine.send(.reread(.replica(files[0].path), .gone))
    try publish("new.jpg", on: machine)
    #expect(word(machine) == before && !machine.isHeld(a), "a loss is told with all else")
    try machine.send(good(files[1]))
    try machine.pass(.seconds(1))
    #expect(missing(machine) == [a])
  }

  /// The user looks at a photo with a program that touches it, later: that silences nobody.
  @Test func aDoubtAfterwardsHoldsNothingBack() throws {
    let (machine, files) = try machine([a, b])
    let before = word(machine)
    try doubt(files, on: machine)
    try publish("new.jpg", on: machine)
    #expect(word(machine) != before && missing(machine) == [])
  }

  @Test func aFileThatCannotBeReadSilencesNobodyForLong() throws {
    let (machine, files) = try restarted([a])
    let before = word(machine)
    try doubt(files, on: machine)
    try machine.compare()
    try machine.send(.reread(.replica(files[0].path), .unavailable))
    try publish("new.jpg", on: machine)
    #expect(word(machine) == before)
    try machine.pass(machine.settings.judgePatience)
    #expect(word(machine) != before)
  }

  /// A cold disk with a million files.
  @Test func aComparisonThatGoesOnIsWaitedFor() throws {
    let (machine, _) = try restarted([a])
    let before = word(machine)
    let id = try #require(machine.replicator.scrub.sight.comparing)
    let part = Duration.seconds(600)
    try machine.pass(part)
    try machine.send(.replicaPartCompared(id))
    try machine.pass(part)
    try machine.send(.replicaPartCompared(id))
    try publish("new.jpg", on: machine)
    #expect(word(machine) == before)
    try machine.pass(machine.settings.judgePatience)
    #expect(word(machine) != before, "it has come to a halt")
  }

  @Test func aComparisonThatFailedIsTriedAgainThoughFilesAreOnTheirWay() throws {
    let (machine, _) = try restarted([a])
    let before = word(machine)
    let link = try machine.connect(has: [b])
    try machine.install(0, 2, [machine.entry("0.jpg", a), machine.entry("b.jpg", b)], over: link)
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    #expect(!machine.replicator.isFilingIdle)
    try machine.compare(isComplete: false)
    try machine.pass(.seconds(59))
    #expect(word(machine) == before && machine.take().comparisons == 0)
    #expect(try machine.report().reasons.contains(.replicaUnreadable))
    try machine.pass(.seconds(2))
    #expect(machine.take().comparisons == 1)
    try machine.compare()
    #expect(word(machine) != before)
    #expect(try !machine.report().reasons.contains(.replicaUnreadable))
  }

  /// Files may be on their way for hours, and a laptop is on for less.
  @Test func theFirstComparisonWaitsForNoFiling() throws {
    let (machine, _) = try machine([a])
    let link = try machine.connect(has: [b])
    try machine.install(0, 2, [machine.entry("0.jpg", a), machine.entry("b.jpg", b)], over: link)
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    machine.comparesReplica = false
    try machine.restart()
    _ = machine.take()
    try machine.send(.tick)
    #expect(!machine.replicator.isFilingIdle && machine.take().comparisons == 1)
  }

  /// By its name, a file of an old image would be taken for the content that the catalog has there, and after that it would look as
  /// though it were.
  @Test func nothingIsMovedBeforeTheReplicaWasCompared() throws {
    let (machine, files) = try restarted([a, b])
    let link = try machine.connect(has: [a, b, c])
    let entries = [machine.entry("album/0.jpg", a), machine.entry("1.jpg", b), machine.entry("c.jpg", c)]
    try machine.install(
      0, 2, entries, removed: [machine.entry("0.jpg", a)], added: [entries[0], entries[2]], over: link)
    try machine.send(.unitVerified(link, UnitID(content: c, part: .whole)))
    let before = try machine.fileAll()
    #expect(before == [.land(c, path: bytes("peer0/folder/c.jpg"), mtime: SingleMachine.oldTime)])
    try doubt([files[0]], on: machine)
    try machine.compare()
    #expect(try machine.fileAll() == [], "now this one alone waits")
    try machine.send(good(files[0]))
    let moved = try machine.fileAll()
    #expect(moved.count == 1)
    #expect(try machine.catalog.replicaFiles(of: a).map(\.path) == [bytes("peer0/folder/album/0.jpg")])
  }

  /// A disk that cannot be walked holds up no filing. But a later comparison takes what was moved for what the catalog says, or
  /// has already passed its new name.
  @Test func whatWasMovedAfterAFailedComparisonIsRead() throws {
    let (machine, _) = try restarted([a, b])
    let before = word(machine)
    let link = try machine.connect(has: [a, b])
    let entries = [machine.entry("album/0.jpg", a), machine.entry("1.jpg", b)]
    try machine.compare(isComplete: false)
    try machine.install(
      0, 2, entries, removed: [machine.entry("0.jpg", a)], added: [entries[0]], over: link)
    #expect(try machine.fileAll().count == 1)
    let moved = try #require(try machine.catalog.replicaFiles(of: a).first)
    try machine.pass(.seconds(61))
    try machine.compare()
    #expect(word(machine) == before && machine.isHeld(a))
    try machine.send(.reread(.replica(moved.path), .gone))
    #expect(word(machine) != before && missing(machine) == [a])
  }

  /// No more of it than is kept in mind to be read.
  @Test func afterAFailedComparisonMovesWaitForReads() throws {
    var settings = ReplicationSettings()
    settings.batchFiles = 1
    settings.doubtedFiles = 2
    let (machine, _) = try restarted([a, b, c, content("d")], settings: settings)
    let photos = [a, b, c, content("d")]
    let link = try machine.connect(has: photos)
    let before = photos.enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }
    let after = photos.enumerated().map { machine.entry("album/\($0.offset).jpg", $0.element) }
    try machine.compare(isComplete: false)
    try machine.install(0, 2, after, removed: before, added: after, over: link)
    #expect(try machine.fileAll().count == 3, "one is being read, two wait for it")
    while let target = machine.replicator.scrub.running?.target, case .replica(let path) = target {
      let file = try #require(try machine.catalog.replicaFile(at: path))
      try machine.send(good(file))
      try machine.fileAll()
    }
    for photo in photos {
      let paths = try machine.catalog.replicaFiles(of: photo).map(\.path)
      #expect(paths.count == 1 && paths[0].starts(with: bytes("peer0/folder/album/")))
    }
    #expect(!machine.replicator.scrub.hasForgottenDoubts)
  }

  /// A peer shows what the machine said in a time that its catalog has forgotten.
  @Test func aForgottenWordIsAnsweredWhenTheReplicaWasCompared() throws {
    let (machine, files) = try restarted([a, b])
    let link = try machine.connect(0)
    var forgotten = try #require(word(machine))
    forgotten.number += 1_000_000_000
    let shown = try machine.key.sign(forgotten, in: machine.household)
    try machine.send(.attestationReceived(link, shown))
    try machine.pass(.seconds(61))
    #expect(word(machine) == forgotten)
    try doubt([files[1]], on: machine)
    try machine.compare()
    try machine.send(.reread(.replica(files[1].path), .gone))
    try machine.pass(.seconds(61))
    #expect(word(machine) != forgotten && missing(machine) == [b])
  }

  @Test func doubtsThatAreNotKeptHoldBackTheWord() throws {
    var settings = ReplicationSettings()
    settings.doubtedFiles = 1
    let (machine, files) = try restarted([a, b, c], settings: settings)
    let before = word(machine)
    try doubt(files, on: machine)
    try machine.compare()
    try publish("new.jpg", on: machine)
    #expect(word(machine) == before, "one is read, one waits, one is forgotten")
    for file in files[0...1] { try machine.send(good(file)) }
    #expect(word(machine) == before)
    try machine.pass(.seconds(61))
    try doubt([files[2]], on: machine)
    try machine.compare()
    #expect(word(machine) == before)
    try machine.send(good(files[2]))
    #expect(word(machine) != before)
  }

  /// Many copies have to be moved, and wait for the comparison: that costs nothing meanwhile.
  @Test func whatWaitsForTheComparisonDoesNotSpin() throws {
    var settings = ReplicationSettings()
    settings.batchFiles = 2
    let (machine, _) = try machine([a, b, c], settings: settings)
    machine.comparesReplica = false
    try machine.restart()
    try machine.send(.recovered)
    let link = try machine.connect(has: [a, b, c])
    let before = [a, b, c].enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }
    let after = [a, b, c].enumerated().map { machine.entry("album/\($0.offset).jpg", $0.element) }
    try machine.install(0, 2, after, removed: before, added: after, over: link)
    #expect(try machine.pass(.seconds(1)) < 10)
    try machine.compare()
    #expect(try machine.fileAll().count == 3)
  }

  /// A peer that connected meanwhile was not told, and nothing else would tell it for a day.
  @Test func theLastWordIsSaidAgainWhenTheDiskIsBack() throws {
    let (machine, _) = try machine([a])
    let before = try #require(word(machine))
    try machine.send(.replicaAway)
    _ = machine.take()
    try machine.connect(0)
    try machine.pass(.seconds(61))
    #expect(machine.take().attestations.isEmpty)
    try machine.send(.replicaMounted)
    try machine.pass(.seconds(61))
    let said = machine.take().attestations
    #expect(!said.isEmpty && said.allSatisfy { $0 == before } && word(machine) == before)
    try machine.send(.replicaAway)
    try machine.send(.replicaMounted)
    try machine.pass(.seconds(61))
    #expect(machine.take().attestations.isEmpty, "it is known")
  }

  /// Nothing is claimed anew before the comparison; what is not there any more is said at once.
  @Test func whatIsLostIsSaidWhileTheReplicaIsCompared() throws {
    let (machine, files) = try machine([a, b])
    machine.comparesReplica = false
    try machine.send(.replicaAway)
    try machine.send(.replicaMounted)
    let before = try #require(word(machine))
    try publish("new.jpg", on: machine)
    #expect(word(machine) == before)
    try doubt([files[0]], on: machine)
    try machine.send(.reread(.replica(files[0].path), .gone))
    try machine.pass(.seconds(1))
    let said = try #require(word(machine))
    #expect(missing(machine) == [a])
    let (owner, own) = (machine.peers[0].machine, machine.machine)
    let held = said.libraries.first { $0.library == owner }?.heldRoot
    #expect(held == machine.statement(owner, .none, held: [b]).heldRoot)
    #expect(said.libraries.first { $0.library == own } == before.libraries.first { $0.library == own })
    try machine.compare()
    try machine.pass(.seconds(61))
    let after = try #require(word(machine))
    #expect(missing(machine) == [a])
    #expect(after.libraries.first { $0.library == own } != before.libraries.first { $0.library == own })
  }

  /// The replica is compared after a mount: nothing is attested anew.
  private func comparing(_ machine: SingleMachine) throws {
    machine.comparesReplica = false
    try machine.send(.replicaAway)
    try machine.send(.replicaMounted)
  }

  private func statement(_ machine: SingleMachine, of owner: MachineID) -> LibraryAttestation? {
    word(machine)?.libraries.first { $0.library == owner }
  }

  @Test func manyLossesOfOneLibraryHideNoneOfAnother() throws {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    let photos = (0...Limits.attestedMissing + 1).map { content("photo \($0)") }
    let many = try machine.connect(0, has: photos)
    let entries = photos.enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }
    try machine.install(0, 1, entries, over: many)
    try machine.send(.unitsVerified(many, photos.map { UnitID(content: $0, part: .whole) }))
    let one = try machine.connect(1, has: [b])
    try machine.install(1, 1, [machine.entry("b.jpg", b)], over: one)
    try machine.send(.unitVerified(one, UnitID(content: b, part: .whole)))
    try machine.fileAll()
    try machine.pass(.seconds(61))
    let owners = machine.peers.map(\.machine)
    #expect(owners.allSatisfy { statement(machine, of: $0)?.missingCount == 0 })
    try comparing(machine)
    for photo in photos + [b] {
      for file in try machine.catalog.replicaFiles(of: photo) { try machine.lose(file.path) }
    }
    try machine.pass(.seconds(1))
    let said = statement(machine, of: owners[0])
    #expect(said?.listsMissing == false)
    #expect(said.map { $0.missingCount > UInt64(Limits.attestedMissing) } == true)
    #expect(statement(machine, of: owners[1])?.missing == [b])
  }

  /// By a batch that failed, for one.
  @Test func whateverEndsTheLastCopyIsSaid() throws {
    let (machine, files) = try machine([a, b])
    try comparing(machine)
    let gone = Set(files.filter { $0.content == a }.map(\.path))
    try machine.replicator.releaseIfGone(a, without: gone)
    try machine.pass(.seconds(1))
    try machine.send(.tick)
    #expect(missing(machine) == [a])
  }

  /// A peer would count it for another fourteen days.
  @Test func anOwnFolderThatIsAwayIsNotSaidAgain() throws {
    let (machine, files) = try machine([a, b])
    try publish("own.jpg", on: machine)
    #expect(statement(machine, of: machine.machine) != nil)
    try comparing(machine)
    machine.looksAtPlaces = false
    try machine.send(.folderOffline(SingleMachine.folderID))
    try machine.lose(files[0].path)
    try machine.pass(.seconds(1))
    #expect(missing(machine) == [a])
    #expect(statement(machine, of: machine.machine) == nil)
  }

  @Test func anOwnFileThatRottedIsNotSaidAgain() throws {
    let (machine, _) = try machine([a])
    try publish("own.jpg", on: machine)
    #expect(statement(machine, of: machine.machine) != nil)
    try comparing(machine)
    let file = try #require(try machine.catalog.file(SingleMachine.folderID, bytes("own.jpg")))
    try machine.replicator.suspect(file, now: machine.now)
    try machine.send(.tick)
    try machine.pass(.seconds(1))
    #expect(missing(machine) == [])
    #expect(statement(machine, of: machine.machine) == nil)
  }

  /// The disk was swapped for last month's image of it while it was being looked at.
  @Test func aComparisonThatBeganBeforeAMountIsNone() throws {
    let (machine, _) = try restarted([a])
    let before = word(machine)
    let early = try #require(machine.replicator.scrub.sight.comparing)
    try machine.send(.replicaAway)
    try machine.send(.replicaMounted)
    try machine.send(.replicaCompared(early, isComplete: true))
    try publish("new.jpg", on: machine)
    #expect(word(machine) == before)
    try machine.compare()
    #expect(word(machine) != before)
  }
}
