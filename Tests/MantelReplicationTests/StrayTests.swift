import MantelCore
import Testing

@testable import MantelReplication

/// Copies that are there, and not where the catalog says.
@Suite struct StrayTests {
  private let a = content("a")
  private let b = content("b")

  /// A machine whose copies have vanished, and the files that they were.
  private func bereft(
    of photos: [ContentID], role: Role = .full
  ) throws -> (SingleMachine, [ReplicaFile]) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: photos)
    let entries = photos.enumerated().map { machine.entry("\($0).jpg", $1) }
    try machine.install(0, 1, entries, over: link)
    for photo in photos { try machine.send(.unitVerified(link, UnitID(content: photo, part: .whole))) }
    try machine.fileAll()
    let landed = try photos.flatMap { try machine.catalog.replicaFiles(of: $0) }
    try machine.send(.linkClosed(link))
    try machine.compare()
    try machine.pass(.seconds(60))
    #expect(photos.allSatisfy(machine.isHeld))
    if role == .source { try machine.become(.source) }
    _ = machine.take()
    for file in landed { try vanish(file, machine) }
    #expect(!photos.contains(where: machine.isHeld))
    return (machine, landed)
  }

  private func vanish(_ file: ReplicaFile, _ machine: SingleMachine) throws {
    try machine.send(.replicaFileDoubted(file.path))
    try machine.send(.reread(.replica(file.path), .gone))
  }

  private func bereft(role: Role = .full) throws -> (SingleMachine, ReplicaFile) {
    let (machine, files) = try bereft(of: [a], role: role)
    return (machine, try #require(files.first))
  }

  private func isSought(_ actions: [ReplicationAction]) -> Bool {
    actions.contains { if case .findStrays = $0 { true } else { false } }
  }

  @Test func whatVanishedIsLookedForAndBroughtBack() throws {
    let (machine, file) = try bereft()
    #expect(!isSought(machine.take()), "others may vanish with it")
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    let stray = StrayFile(path: bytes("elsewhere/x.jpg"), content: a, stamp: file.stamp)
    try machine.send(.straysSought([stray], isComplete: true))
    #expect(machine.isHeld(a))
    let batch = try #require(machine.take().batches.first)
    #expect(
      batch.operations.contains {
        if case .move(stray.path, file.path, a, _) = $0 { true } else { false }
      }, "\(batch)")
  }

  /// A machine that keeps copies no more owes nothing of them; but those that it still has may be the only ones.
  @Test func aSourceFindsItsCopiesAgainToo() throws {
    let (machine, file) = try bereft(role: .source)
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    let stray = StrayFile(path: bytes("elsewhere/x.jpg"), content: a, stamp: file.stamp)
    let other = StrayFile(path: bytes("elsewhere/y.jpg"), content: b, stamp: file.stamp)
    try machine.send(.straysSought([stray, other], isComplete: true))
    #expect(machine.isAvailable(a) && !machine.isAvailable(b), "b was never its copy")
    #expect(machine.take().batches.isEmpty)
    #expect(try machine.catalog.replicaFiles(of: a).map(\.path) == [stray.path])
  }

  /// The look may have passed the file already.
  @Test func whatVanishesFromASourceDuringALookIsLookedForToo() throws {
    let (machine, files) = try bereft(of: [a, b], role: .source)
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    let stray = StrayFile(path: bytes("elsewhere/x.jpg"), content: a, stamp: files[0].stamp)
    try machine.send(.straysSought([stray], isComplete: false))
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()), "it was cut short")
    try vanish(try #require(try machine.catalog.replicaFiles(of: a).first), machine)
    try machine.send(.straysSought([], isComplete: true))
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
  }

  /// Others that lack it can have it of this machine at once.
  @Test func whatWasFoundAgainIsAnnounced() throws {
    let (machine, file) = try bereft()
    let link = try machine.connect(has: [])
    try machine.pass(.seconds(2))
    _ = machine.take()
    let stray = StrayFile(path: bytes("elsewhere/x.jpg"), content: a, stamp: file.stamp)
    try machine.send(.straysSought([stray], isComplete: true))
    try machine.pass(.seconds(1))
    #expect(machine.take().told(link, of: a) == true)
  }

  /// A directory that somebody renamed: all of it is taken, and not what happens to be first.
  @Test func allThatOneLookFindsIsBroughtBack() throws {
    let photos = (0..<5).map { content("photo \($0)") }
    let (machine, files) = try bereft(of: photos)
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    let strays = files.map {
      StrayFile(path: bytes("renamed/") + $0.path, content: $0.content, stamp: $0.stamp)
    }
    try machine.send(.straysSought(strays, isComplete: true))
    #expect(photos.allSatisfy(machine.isHeld))
    try machine.fileAll()
    for file in files { #expect(try machine.catalog.replicaFile(at: file.path)?.content == file.content) }
    try machine.pass(.seconds(10))
    #expect(!isSought(machine.take()))
  }

  /// The process dies while another batch holds that up.
  @Test func whatWasFoundIsBroughtToItsPlaceAfterARestartToo() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [b])
    try machine.install(0, 1, [machine.entry("a.jpg", a), machine.entry("b.jpg", b)], over: link)
    try machine.compare()
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    try machine.send(.unitVerified(link, UnitID(content: b, part: .whole)))
    let stray = StrayFile(path: bytes("elsewhere/x.jpg"), content: a, stamp: machine.stamp(10))
    try machine.send(.straysSought([stray], isComplete: true))
    try machine.restart()
    #expect(machine.isHeld(a))
    try machine.send(.recovered)
    try machine.fileAll()
    #expect(try machine.catalog.replicaFiles(of: a).map(\.path) == [bytes("peer0/folder/a.jpg")])
  }

  /// The look may have passed its new place already.
  @Test func whatVanishesDuringALookIsLookedForAgain() throws {
    let (machine, files) = try bereft(of: [a, b])
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    let stray = StrayFile(path: bytes("x.jpg"), content: a, stamp: files[0].stamp)
    try machine.send(.straysSought([stray], isComplete: true))
    try machine.fileAll()
    try machine.pass(.seconds(10))
    #expect(!isSought(machine.take()), "b lies nowhere, and nothing says that it does")
    try machine.compare()
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
    try vanish(try #require(try machine.catalog.replicaFiles(of: a).first), machine)
    try machine.send(.straysSought([], isComplete: true))
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
  }

  /// What a look has no room for is found by the next one.
  @Test func aLookThatIsCutShortIsFollowedByAnother() throws {
    let (machine, files) = try bereft(of: [a, b])
    try machine.pass(.seconds(2))
    _ = machine.take()
    let stray = StrayFile(path: bytes("x.jpg"), content: a, stamp: files[0].stamp)
    try machine.send(.straysSought([stray], isComplete: false))
    try machine.fileAll()
    try machine.pass(.seconds(2))
    #expect(isSought(machine.take()))
  }

  /// Somebody's own file that nothing is missing of, and a file that the catalog knows, stay what they are.
  @Test func onlyWhatIsMissingIsTaken() throws {
    let (machine, file) = try bereft()
    try machine.pass(.seconds(2))
    _ = machine.take()
    try machine.send(
      .straysSought([StrayFile(path: bytes("own.jpg"), content: b, stamp: file.stamp)], isComplete: true))
    #expect(!machine.isHeld(b))
    #expect(try machine.catalog.replicaFile(at: bytes("own.jpg")) == nil)
    #expect(machine.take().batches.isEmpty)
  }

  @Test func withNothingMissingNobodyLooks() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.compare()
    try machine.pass(.seconds(3_600))
    #expect(!isSought(machine.take()))
  }
}
