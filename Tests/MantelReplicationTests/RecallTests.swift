import MantelCore
import Testing

@testable import MantelReplication

/// Bytes for somebody: they come, they stay until they are let go, or there is a reason.
@Suite struct RecallTests {
  private let photo = content("photo")
  private let film = Payload(Array("film".utf8), size: UInt64(Limits.wholeUnitBytes) + 1)
  private let id = RecallID(1)

  private func machine(
    peers: Int = 2, role: Role = .full, _ change: (inout ReplicationSettings) -> Void = { _ in }
  ) throws -> SingleMachine {
    var settings = ReplicationSettings()
    change(&settings)
    let machine = try SingleMachine(peers: peers, role: role, settings: settings)
    try machine.send(.recovered)
    _ = machine.take()
    return machine
  }

  private func order(
    _ content: ContentID, size: UInt64 = 10, manifest: Digest256? = nil, isAfresh: Bool = false,
    only: MachineID? = nil, of machine: SingleMachine
  ) -> RecallOrder {
    RecallOrder(
      MissingContent(
        content: content, size: size, manifest: manifest, mtime: SingleMachine.oldTime,
        library: machine.machine),
      isAfresh: isAfresh, only: only)
  }

  private func whole(_ content: ContentID) -> UnitID { UnitID(content: content, part: .whole) }

  /// The outcomes that were told since the last call, of one recall each.
  private func outcomes(_ machine: SingleMachine) -> [RecallOutcome] {
    machine.take().recalled.map(\.outcome)
  }

  /// Lets links be what they are for so long that nobody is expected to come.
  private func becomeQuiet(_ machine: SingleMachine) throws {
    try machine.send(.tick)
    try machine.pass(machine.settings.recallPatience)
    _ = machine.take()
  }

  @Test(arguments: [Role.full, .source])
  func bytesComeAreHereAndGoWhenTheyAreReleased(role: Role) throws {
    let machine = try machine(role: role)
    let link = try machine.connect(has: [photo])
    _ = machine.take()
    try machine.send(.recall(id, order(photo, of: machine)))
    let orders = machine.take().orders(link)
    #expect(orders.map(\.unit) == [whole(photo)])
    try machine.send(.unitVerified(link, whole(photo)))
    var actions = machine.take()
    #expect(actions.recalled.map(\.id) == [id] && actions.recalled.map(\.outcome) == [.here])
    #expect(actions.batches.isEmpty && actions.discarded.isEmpty)
    try machine.pass(.seconds(3_600))
    #expect(machine.take().discarded.isEmpty, "as long as it is needed")
    #expect(!machine.isHeld(photo))
    try machine.send(.recallReleased(id))
    actions = machine.take()
    #expect(actions.discarded == [photo] && actions.told(link, of: photo) == false)
    #expect(actions.orders(link).isEmpty)
  }

  @Test func aLargeContentComesBlockByBlock() throws {
    let machine = try machine()
    let link = try machine.connect(has: [film.content])
    try machine.send(
      .recall(id, order(film.content, size: film.size, manifest: film.manifestHash, of: machine)))
    #expect(machine.take().orders(link).map(\.unit.part) == [.manifest])
    try machine.send(.manifestVerified(link, film.content, try #require(film.manifest)))
    let blocks = machine.take().orders(link)
    #expect(blocks.count == film.layout.blockCount)
    for block in blocks { try machine.send(.unitVerified(link, block.unit)) }
    #expect(machine.take().assembled == [film.content])
    try machine.send(.contentAssembled(film.content, isIntact: true))
    #expect(outcomes(machine) == [.here])
    try machine.send(.recallReleased(id))
    #expect(machine.take().discarded == [film.content])
  }

  @Test func aLargeContentThatIsLetGoHalfwayIsAbandoned() throws {
    let machine = try machine()
    let link = try machine.connect(has: [film.content])
    try machine.send(
      .recall(id, order(film.content, size: film.size, manifest: film.manifestHash, of: machine)))
    try machine.send(.manifestVerified(link, film.content, try #require(film.manifest)))
    let blocks = machine.take().orders(link).filter { $0.unit.part != .manifest }
    try machine.send(.unitVerified(link, blocks[0].unit))
    try machine.send(.recallReleased(id))
    let actions = machine.take()
    let cancelled = actions.commands(link).reduce(0) {
      if case .cancelFetch(let units) = $1 { $0 + units.count } else { $0 }
    }
    #expect(cancelled == blocks.count - 1)
    #expect(actions.discarded == [film.content] && actions.recalled.isEmpty)
    #expect(try machine.catalog.partial(film.content) == nil)
  }

  @Test func whatIsAskedForComesBeforeWhatIsMissing() throws {
    let machine = try machine(peers: 1) { $0.linkUnits = 1 }
    let photos = (0..<3).map { content("missing \($0)") }
    let link = try machine.connect(has: photos + [photo])
    try machine.install(0, 1, photos.enumerated().map { machine.entry("\($0).jpg", $1) }, over: link)
    let first = try #require(machine.take().orders(link).first)
    try machine.send(.recall(id, order(photo, of: machine)))
    #expect(machine.take().orders(link).isEmpty)
    try machine.send(.unitVerified(link, first.unit))
    #expect(machine.take().orders(link).map(\.unit) == [whole(photo)])
  }

  /// Whoever was told that they are here looks for them in the staging area.
  @Test func bytesThatTheReplicaComesToWantAreLandedWhenTheyAreReleased() throws {
    let machine = try machine()
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.send(.unitVerified(link, whole(photo)))
    _ = machine.take()
    try machine.install(0, 1, [machine.entry("a.jpg", photo)], over: link)
    #expect(try machine.fileAll().isEmpty && !machine.isHeld(photo))
    let actions = try machine.send(.recallReleased(id))
    #expect(actions.discarded.isEmpty)
    #expect(try machine.fileAll().count == 1 && machine.isHeld(photo))
    #expect(machine.take().discarded.isEmpty)
  }

  @Test func whatIsHereIsSaidToBeAtOnceUnlessItIsWantedAfresh() throws {
    let machine = try machine()
    try machine.publish("a.jpg", photo, machine.stamp(10))
    let link = try machine.connect(has: [photo])
    _ = machine.take()
    try machine.send(.recall(id, order(photo, of: machine)))
    #expect(outcomes(machine) == [.here])
    try machine.send(.recallReleased(id))
    let second = RecallID(2)
    try machine.send(.recall(second, order(photo, isAfresh: true, of: machine)))
    #expect(machine.take().orders(link).map(\.unit) == [whole(photo)])
    try machine.send(.unitVerified(link, whole(photo)))
    var actions = machine.take()
    #expect(actions.recalled.map(\.outcome) == [.here] && actions.orders(link).isEmpty, "once is enough")
    try machine.send(.recallReleased(second))
    actions = machine.take()
    #expect(actions.discarded == [photo] && actions.told(link, of: photo) == nil)
    #expect(machine.isHeld(photo), "the own file is still there")
  }

  /// Fails where an own file that changes takes what is staged with it (`unhold`).
  @Test func whatIsFetchedAfreshCanBeServedThoughTheOwnFileChanges() throws {
    let machine = try machine()
    try machine.publish("a.jpg", photo, machine.stamp(10))
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, isAfresh: true, of: machine)))
    try machine.send(.unitVerified(link, whole(photo)))
    _ = machine.take()
    try machine.sight("a.jpg", .file(machine.stamp(11, ctime: 5), isClosed: false))
    #expect(!machine.isHeld(photo) && machine.isAvailable(photo))
    #expect(machine.take().told(link, of: photo) == nil)
    try machine.send(.recallReleased(id))
    #expect(!machine.isAvailable(photo) && machine.take().told(link, of: photo) == false)
  }

  @Test func oneMachineAloneIsAskedWhenSomebodySaysSo() throws {
    let machine = try machine()
    let first = try machine.connect(0, has: [photo])
    let second = try machine.connect(1, has: [photo])
    try machine.send(.recall(id, order(photo, isAfresh: true, only: machine.peers[1].machine, of: machine)))
    let actions = machine.take()
    #expect(actions.orders(first).isEmpty && actions.orders(second).map(\.unit) == [whole(photo)])
    try machine.send(.unitCorrupt(second, whole(photo)))
    try machine.pass(machine.settings.recallPatience)
    let after = machine.take()
    #expect(after.orders(first).isEmpty && after.recalled.map(\.outcome) == [.damaged])
  }

  // MARK: Links that come and go

  @Test func aRecallOutlivesTheLinkThatWasAsked() throws {
    let machine = try machine()
    let first = try machine.connect(0, has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    #expect(machine.take().orders(first).count == 1)
    try machine.send(.linkClosed(first))
    #expect(outcomes(machine).isEmpty)
    try machine.pass(machine.settings.recallPatience - .seconds(1))
    let second = try machine.connect(1, has: [photo])
    #expect(machine.take().orders(second).map(\.unit) == [whole(photo)])
    try machine.send(.unitVerified(second, whole(photo)))
    #expect(outcomes(machine) == [.here])
  }

  @Test func whatNobodyHasIsGivenUpAfterAWhile() throws {
    let machine = try machine()
    _ = try machine.connect(has: [])
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.pass(machine.settings.recallPatience - .milliseconds(1))
    #expect(outcomes(machine).isEmpty, "somebody who has it may be on the way")
    try machine.pass(.milliseconds(1))
    #expect(outcomes(machine) == [.notReachable])
    #expect(try machine.pass(.seconds(100), limit: 50) < 50)
    try machine.send(.recallReleased(id))
    #expect(machine.take().recalled.isEmpty)
  }

  @Test func whereLinksAreOldNobodyIsWaitedFor() throws {
    let machine = try machine()
    _ = try machine.connect(has: [])
    try becomeQuiet(machine)
    for number in 1...300 {
      try machine.send(.recall(RecallID(UInt64(number)), order(content("\(number)"), of: machine)))
    }
    #expect(outcomes(machine) == Array(repeating: .notReachable, count: 300))
  }

  /// A disk blips: its machine takes the photo back before it refuses it, and offers it again. Fails where it is given up with the
  /// refusal, because the links are what they were for long (`takenBack`).
  @Test func whatIsTakenBackIsWaitedForAsIfItsMachineHadGone() throws {
    let machine = try machine(peers: 1)
    let link = try machine.connect(has: [photo])
    try becomeQuiet(machine)
    try machine.send(.recall(id, order(photo, of: machine)))
    #expect(machine.take().orders(link).map(\.unit) == [whole(photo)])
    try machine.send(.availabilityChanged(link, added: [], removed: [photo]))
    try machine.send(.unitEnded(link, whole(photo), .notHeld))
    try machine.pass(machine.settings.recallPatience - .seconds(1))
    #expect(outcomes(machine).isEmpty)
    try machine.send(.availabilityChanged(link, added: [photo], removed: []))
    #expect(machine.take().orders(link).map(\.unit) == [whole(photo)])
    try machine.send(.unitVerified(link, whole(photo)))
    #expect(outcomes(machine) == [.here])
  }

  /// Nor for ever. Fails where whatever a peer takes back counts (`takenBack`).
  @Test func whatIsTakenBackForGoodIsGivenUpInTime() throws {
    let machine = try machine(peers: 1)
    let link = try machine.connect(has: [photo, content("other")])
    try becomeQuiet(machine)
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.send(.availabilityChanged(link, added: [], removed: [photo]))
    try machine.send(.unitEnded(link, whole(photo), .notHeld))
    try machine.pass(machine.settings.recallPatience - .seconds(1))
    try machine.send(.availabilityChanged(link, added: [], removed: [content("other")]))
    #expect(outcomes(machine).isEmpty)
    try machine.pass(.seconds(1))
    #expect(outcomes(machine).count == 1)
  }

  @Test(arguments: [LinkOutcome.notHeld, .busy, .failed, .changed, .unsupported])
  func aMachineThatRefusesAgainAndAgainIsNotAskedForEver(outcome: LinkOutcome) throws {
    let machine = try machine(peers: 1)
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    var refusals = 0
    var ended: [RecallOutcome] = []
    while ended.isEmpty, refusals < 100 {
      let actions = machine.take()
      ended = actions.recalled.map(\.outcome)
      if actions.orders(link).isEmpty {
        try machine.pass(machine.settings.retry)
      } else {
        refusals += 1
        try machine.send(.unitEnded(link, whole(photo), outcome))
      }
    }
    #expect(ended == [.refused])
    #expect(refusals == machine.settings.recallFailures)
  }

  @Test func aMachineThatSaysNothingIsNotWaitedForForEver() throws {
    let machine = try machine(peers: 1)
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    #expect(machine.take().orders(link).count == 1)
    try machine.pass(machine.settings.recallStall - .seconds(1))
    #expect(outcomes(machine).isEmpty)
    try machine.pass(.seconds(1))
    #expect(outcomes(machine) == [.notReachable])
    // Late bytes are nobody's.
    try machine.send(.unitVerified(link, whole(photo)))
    #expect(machine.take().discarded == [photo])
    #expect(!machine.isAvailable(photo))
  }

  @Test func beforeTheStagedBytesAreKnownNothingIsGivenUp() throws {
    let machine = try SingleMachine(peers: 1)
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.pass(.seconds(300))
    #expect(machine.take().recalled.isEmpty)
    try machine.send(.recovered)
    #expect(machine.take().orders(link).map(\.unit) == [whole(photo)])
  }

  @Test func stagedBytesOfAnEarlierRunAreNobodysUnlessTheyAreRecalled() throws {
    let machine = try SingleMachine(peers: 1)
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.send(.stagedFound(photo, blocks: nil))
    try machine.send(.stagedFound(content("other"), blocks: nil))
    let actions = machine.take()
    #expect(actions.recalled.map(\.outcome) == [.here])
    #expect(actions.discarded == [content("other")])
  }

  // MARK: Bounds

  @Test func theReserveOfTheDiskIsLeftAlone() throws {
    let machine = try machine()
    let link = try machine.connect(has: [photo])
    let room = DiskRoom(
      replica: DiskSpace(free: 1_050, total: 20_000), catalog: DiskSpace(free: 10_000, total: 20_000))
    try machine.send(.diskRoom(room))
    try machine.send(.recall(id, order(photo, size: 51, of: machine)))
    #expect(outcomes(machine) == [.noSpace])
    try machine.send(.recall(RecallID(2), order(photo, size: 50, of: machine)))
    #expect(machine.take().orders(link).count == 1)
  }

  /// Its room was there when it was admitted, and is gone when somebody who has it comes.
  @Test func aFilmThatFitsNoMoreIsNotAskedFor() throws {
    let machine = try machine()
    let film = Payload(Array("film".utf8), size: UInt64(Limits.wholeUnitBytes) + 1)
    func room(_ free: UInt64) -> DiskRoom {
      let space = DiskSpace(free: free, total: 100 << 20)
      return DiskRoom(replica: space, catalog: space)
    }
    try machine.send(.diskRoom(room(50 << 20)))
    let missing = MissingContent(
      content: film.content, size: film.size, manifest: film.manifestHash, mtime: 1,
      library: machine.machine)
    try machine.send(.recall(id, RecallOrder(missing)))
    try machine.send(.diskRoom(room(6 << 20)))
    let link = try machine.connect(has: [film.content])
    #expect(machine.take().orders(link).isEmpty)
    try machine.send(.diskRoom(room(50 << 20)))
    #expect(machine.take().orders(link).map(\.unit.part) == [.manifest])
  }

  @Test func aDiskThatIsFullIsTheReason() throws {
    let machine = try machine()
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.send(.stagingFailed(whole(photo), .noSpace))
    #expect(machine.take().orders(link).count == 1)
    try machine.pass(machine.settings.recallPatience)
    #expect(outcomes(machine) == [.noSpace])
  }

  /// A restore must not be told of a full disk; and what is recalled meanwhile is told at once.
  @Test func aReplicaThatCanOnlyBeReadIsTheReason() throws {
    let machine = try machine()
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.send(.stagingFailed(whole(photo), .readOnly))
    #expect(machine.take().orders(link).count == 1)
    try machine.pass(machine.settings.recallPatience)
    #expect(outcomes(machine) == [.readOnly])
    try machine.send(.recall(RecallID(2), order(photo, of: machine)))
    #expect(outcomes(machine) == [.readOnly])
    try machine.send(.replicaWritable)
    try machine.send(.recall(RecallID(3), order(photo, of: machine)))
    #expect(machine.take().orders(link).count == 1)
  }

  @Test func fewAreRecalledAtOnceAndTheOthersWaitTheirTurn() throws {
    let machine = try machine {
      $0.recallsAtOnce = 4
      $0.recallBytes = 100
      $0.recallsWaiting = 6
    }
    let photos = (0..<12).map { content("photo \($0)") }
    let link = try machine.connect(has: photos)
    _ = machine.take()
    for (number, photo) in photos.enumerated() {
      try machine.send(.recall(RecallID(UInt64(number)), order(photo, size: 40, of: machine)))
    }
    let actions = machine.take()
    #expect(actions.orders(link).map(\.unit.content) == Array(photos[..<2]), "100 bytes are two photos")
    #expect(actions.recalled.map(\.id.number) == [8, 9, 10, 11])
    #expect(actions.recalled.allSatisfy { $0.outcome == .busy })
    var orders = actions.orders(link)
    var came: [UInt64] = []
    while !orders.isEmpty {
      try machine.send(.unitVerified(link, orders.removeFirst().unit))
      for (id, _) in machine.take().recalled {
        came.append(id.number)
        try machine.send(.recallReleased(id))
      }
      orders += machine.take().orders(link)
    }
    #expect(Set(came) == Set(0..<8))
  }

  @Test func severalMayNeedTheSameBytesAndTheLastLetsThemGo() throws {
    let machine = try machine()
    let link = try machine.connect(has: [photo])
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.send(.recall(RecallID(2), order(photo, of: machine)))
    try machine.send(.recall(RecallID(3), order(photo, isAfresh: true, of: machine)))
    var actions = machine.take()
    #expect(actions.orders(link).count == 1)
    #expect(actions.recalled.map(\.outcome) == [.busy], "not in two ways at once")
    try machine.send(.unitVerified(link, whole(photo)))
    #expect(Set(machine.take().recalled.map(\.id.number)) == [1, 2])
    try machine.send(.recall(RecallID(4), order(photo, of: machine)))
    #expect(outcomes(machine) == [.here])
    for number in [1, 4] as [UInt64] { try machine.send(.recallReleased(RecallID(number))) }
    #expect(machine.take().discarded.isEmpty)
    try machine.send(.recallReleased(RecallID(2)))
    actions = machine.take()
    #expect(actions.discarded == [photo])
  }

  // MARK: Bytes that go meanwhile

  /// Publishes a photo that a machine then has no more, after somebody was told that it is here.
  private func machineThatLost(_ photo: ContentID, role: Role, isForgotten: Bool) throws -> (
    machine: SingleMachine, link: LinkID
  ) {
    let machine = try machine(role: role)
    try machine.publish("a.jpg", photo, machine.stamp(10))
    let link = try machine.connect(has: [photo])
    _ = machine.take()
    try machine.send(.recall(id, order(photo, of: machine)))
    #expect(outcomes(machine) == [.here])
    if isForgotten {
      try machine.send(.forget(try machine.catalog.entries(machine.machine, of: photo).map(\.id)))
    } else {
      try machine.delete("a.jpg")
    }
    #expect(!machine.isAvailable(photo))
    return (machine, link)
  }

  @Test(arguments: [Role.full, .source], [true, false])
  func whatWasHereAndIsGoneIsAskedForWhenSomebodyElseNeedsIt(role: Role, isForgotten: Bool) throws {
    let (machine, link) = try machineThatLost(photo, role: role, isForgotten: isForgotten)
    let second = RecallID(2)
    try machine.send(.recall(second, order(photo, of: machine)))
    var actions = machine.take()
    #expect(actions.recalled.isEmpty && actions.orders(link).map(\.unit) == [whole(photo)])
    try machine.send(.unitVerified(link, whole(photo)))
    actions = machine.take()
    #expect(actions.recalled.map(\.id) == [second], "the first was told, and is told nothing more")
    #expect(actions.recalled.map(\.outcome) == [.here])
    try machine.send(.recallReleased(second))
    #expect(machine.take().discarded.isEmpty, "the first has not let go")
    try machine.send(.recallReleased(id))
    #expect(machine.take().discarded == [photo])
  }

  @Test func whatIsGoneAndDoesNotComeAgainEndsForThoseWhoWereNotTold() throws {
    let (machine, link) = try machineThatLost(photo, role: .source, isForgotten: true)
    try machine.send(.linkClosed(link))
    try machine.send(.recall(RecallID(2), order(photo, of: machine)))
    try machine.send(.recall(RecallID(3), order(photo, of: machine)))
    try machine.send(.recallReleased(RecallID(3)))
    try machine.pass(machine.settings.recallPatience)
    let ended = machine.take().recalled
    #expect(ended.map(\.id) == [RecallID(2)] && ended.map(\.outcome) == [.notReachable])
    try machine.send(.recallReleased(id))
    #expect(machine.take().recalled.isEmpty)
  }

  // MARK: Bytes that are being landed

  /// A photo that came for the replica, and that somebody needs while it is being landed.
  private func machineThatLands(_ photo: ContentID) throws -> (
    machine: SingleMachine, link: LinkID, batch: (id: BatchID, operations: [FilingOperation])
  ) {
    let machine = try machine()
    let link = try machine.connect(has: [photo])
    try machine.install(0, 1, [machine.entry("a.jpg", photo)], over: link)
    try machine.send(.unitVerified(link, whole(photo)))
    let batch = try #require(machine.take().batches.first)
    try machine.send(.recall(id, order(photo, of: machine)))
    try machine.pass(machine.settings.recallPatience)
    let actions = machine.take()
    #expect(actions.recalled.isEmpty && actions.orders(link).isEmpty, "the batch decides")
    return (machine, link, batch)
  }

  private func failure(_ code: FilingFailure.Code) -> FilingResult {
    .failed(FilingFailure(code: code, errno: 5, message: "a test"))
  }

  /// Under its name, or in the staging area still.
  @Test(arguments: [nil, FilingFailure.Code.noSpace, .io])
  func whatIsBeingLandedIsSaidToBeHereWhenTheBatchHasEnded(code: FilingFailure.Code?) throws {
    let (machine, link, batch) = try machineThatLands(photo)
    let path = try #require(batch.operations.first).path
    let result = code.map(failure) ?? .done(path: path, machine.stamp(10))
    try machine.send(.filed(batch.id, [result]))
    let actions = machine.take()
    #expect(actions.recalled.map(\.id) == [id] && actions.recalled.map(\.outcome) == [.here])
    #expect(actions.orders(link).isEmpty && machine.isHeld(photo) == (code == nil))
  }

  @Test func whatCouldNotBeSyncedIsAskedForAndNotSaidToBeHere() throws {
    let (machine, link, batch) = try machineThatLands(photo)
    try machine.send(.filed(batch.id, [failure(.sync)]))
    let actions = machine.take()
    #expect(actions.recalled.isEmpty && actions.orders(link).map(\.unit) == [whole(photo)])
    try machine.send(.unitVerified(link, whole(photo)))
    #expect(outcomes(machine) == [.here])
  }

  /// The batch is repeated while the first who needs the photo has not let go of what was fetched again.
  @Test func aBatchThatIsRepeatedDecidesToo() throws {
    let (machine, link, batch) = try machineThatLands(photo)
    try machine.send(.filed(batch.id, [failure(.sync)]))
    try machine.send(.unitVerified(link, whole(photo)))
    #expect(outcomes(machine) == [.here])
    try machine.pass(machine.settings.retry)
    let again = try #require(machine.take().batches.first)
    #expect(again.operations == batch.operations)
    let second = RecallID(2)
    try machine.send(.recall(second, order(photo, of: machine)))
    #expect(outcomes(machine).isEmpty)
    try machine.send(.filed(again.id, [failure(.sync)]))
    #expect(machine.take().orders(link).map(\.unit) == [whole(photo)])
    try machine.send(.unitVerified(link, whole(photo)))
    let ended = machine.take().recalled
    #expect(ended.map(\.id) == [second] && ended.map(\.outcome) == [.here])
  }

  /// There are bytes for it already: they are not counted against the reserve again.
  @Test func whatIsBeingLandedNeedsNoMoreRoom() throws {
    let machine = try machine()
    let link = try machine.connect(has: [photo])
    try machine.install(0, 1, [machine.entry("a.jpg", photo)], over: link)
    try machine.send(.unitVerified(link, whole(photo)))
    let space = DiskSpace(free: 1_000, total: 20_000)
    try machine.send(.diskRoom(DiskRoom(replica: space, catalog: DiskSpace(free: 10_000, total: 20_000))))
    _ = machine.take()
    try machine.send(.recall(id, order(photo, of: machine)))
    #expect(outcomes(machine).isEmpty)
  }
}
