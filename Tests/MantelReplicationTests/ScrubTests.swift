import MantelCore
import Testing

@testable import MantelReplication

/// Which files are read again and when, and what follows from what was read.
@Suite struct ScrubTests {
  let a = content("a")
  let b = content("b")
  let c = content("c")

  /// A machine that holds these photos of its peer, and what lies where.
  func machine(
    _ photos: [ContentID], peers: Int = 1, settings: ReplicationSettings = ReplicationSettings()
  ) throws -> (SingleMachine, LinkID, [ReplicaFile]) {
    let machine = try SingleMachine(peers: peers, settings: settings)
    try machine.send(.recovered)
    let link = try machine.connect(has: photos)
    try machine.install(
      0, 1, photos.enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }, over: link)
    for photo in photos { try machine.send(.unitVerified(link, UnitID(content: photo, part: .whole))) }
    try machine.fileAll()
    let files = try photos.flatMap { try machine.catalog.replicaFiles(of: $0) }
    #expect(files.count == photos.count)
    try machine.compare()
    _ = machine.take()
    return (machine, link, files)
  }

  func good(_ file: ReplicaFile) -> ReplicationEvent {
    .reread(.replica(file.path), .read(file.content, file.stamp))
  }

  func rotten(_ file: ReplicaFile) -> ReplicationEvent {
    .reread(.replica(file.path), .read(content("rot"), file.stamp))
  }

  /// The file is read, by its turn in a verification, and has rotted.
  func findRotten(_ file: ReplicaFile, on machine: SingleMachine) throws {
    try machine.send(.replicaFileDoubted(file.path))
    try machine.send(rotten(file))
  }

  func report(_ machine: SingleMachine) throws -> VerifyReport {
    let report = machine.replicator.verifyReport
    return try #require(report)
  }

  // MARK: What is read when

  @Test func nothingIsReadInTheFirstHalfOfThePeriod() throws {
    let (machine, _, _) = try machine([a, b])
    try machine.pass(.seconds(14 * 86_400))
    #expect(machine.take().rereads.isEmpty)
  }

  @Test func allFilesAreReadOneAfterTheOtherAndOnce() throws {
    let (machine, _, files) = try machine([a, b, c])
    try machine.pass(.seconds(16 * 86_400))
    var read: [[UInt8]] = []
    while let target = machine.take().rereads.first {
      guard case .replica(let path) = target, let file = files.first(where: { $0.path == path }) else {
        Issue.record("\(target)")
        break
      }
      read.append(path)
      try machine.send(good(file))
      try machine.pass(.seconds(1))
    }
    #expect(Set(read).count == 3 && read.count == 3)
    try machine.pass(.seconds(2 * 86_400))
    #expect(machine.take().rereads.isEmpty)
    #expect(try machine.catalog.oldestVerification().map { $0 > files[0].verified } == true)
  }

  @Test func theOldestComesFirstAndARestartGoesOnWhereItWas() throws {
    let (machine, _, files) = try machine([a, b, c])
    let ages: [Int64] = [300, 100, 200]
    for (file, age) in zip(files, ages) {
      var file = file
      file.verified = WallTime(nanoseconds: age)
      try machine.catalog.commitFiling(put: [file], removed: [], filed: [])
    }
    try machine.pass(.seconds(600))
    #expect(machine.take().rereads == [.replica(files[1].path)])
    // A page of one: recorded at once.
    try machine.send(good(files[1]))
    try machine.send(.verifyWanted(VerifyRequest(isAll: false, library: nil)))
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(.seconds(600))
    #expect(machine.take().rereads == [.replica(files[2].path)])
  }

  @Test func aClockThatWasInTheFutureHidesNothing() throws {
    let (machine, _, files) = try machine([a])
    var file = files[0]
    file.verified = WallTime(nanoseconds: machine.now.wall.nanoseconds + 9 * 365 * 86_400_000_000_000)
    try machine.catalog.commitFiling(put: [file], removed: [], filed: [])
    try machine.pass(.seconds(600))
    #expect(machine.take().rereads == [.replica(file.path)])
  }

  @Test func aDiskThatIsNotThereRestsTheScrub() throws {
    let (machine, _, files) = try machine([a, b])
    try machine.pass(.seconds(16 * 86_400))
    let target = try #require(machine.take().rereads.first)
    try machine.send(.reread(target, .unavailable))
    try machine.pass(.seconds(60))
    #expect(machine.take().rereads.isEmpty)
    #expect(machine.isHeld(a) && machine.isHeld(b) && files.count == 2)
    try machine.send(.replicaMounted)
    #expect(machine.take().rereads.count == 1)
  }

  @Test func theReplicaIsComparedAtStartDailyAndAfterAMount() throws {
    let machine = try SingleMachine()
    #expect(machine.take().comparisons == 1)
    try machine.pass(.seconds(86_000))
    #expect(machine.take().comparisons == 0)
    try machine.pass(.seconds(500))
    #expect(machine.take().comparisons == 1)
    try machine.send(.replicaMounted)
    #expect(machine.take().comparisons == 1)
  }

  @Test func whatADiskThatIsNotThereHoldsIsNotAttestedAnew() throws {
    let (machine, link, files) = try machine([a, b])
    try machine.pass(.seconds(600))
    _ = machine.take()
    try machine.send(.replicaAway)
    #expect(try machine.report().reasons.contains(.replicaOffline))
    #expect(try machine.report().isComplete == false)
    // No renewal, no comparison, and no claim on what came since.
    try machine.pass(.seconds(2 * 86_400))
    let quiet = machine.take()
    #expect(quiet.attestations.isEmpty && quiet.comparisons == 0 && quiet.rereads.isEmpty)
    #expect(machine.isHeld(a) && machine.isHeld(b), "nothing is forgotten")
    try machine.send(.replicaMounted)
    #expect(try !machine.report().reasons.contains(.replicaOffline))
    try machine.pass(.seconds(60))
    let actions = machine.take()
    #expect(actions.comparisons == 1)
    #expect(actions.attestations.last?.libraries.contains { $0.missingCount > 0 } == false)
    #expect(actions.orders(link).isEmpty && files.count == 2)
  }

  @Test func aDoubtOutlivesADiskThatIsNotThere() throws {
    let (machine, _, files) = try machine([a])
    try machine.send(.replicaFileDoubted(files[0].path))
    _ = machine.take()
    try machine.send(.reread(.replica(files[0].path), .unavailable))
    try machine.send(.replicaAway)
    #expect(machine.isHeld(a) && machine.take().rereads.isEmpty)
    try machine.send(.replicaMounted)
    #expect(machine.take().rereads == [.replica(files[0].path)])
  }

  @Test func moreDoubtsThanAreKeptLeadToAnotherComparison() throws {
    var settings = ReplicationSettings()
    settings.doubtedFiles = 1
    let (machine, _, files) = try machine([a, b, c], settings: settings)
    for file in files { try machine.send(.replicaFileDoubted(file.path)) }
    // One is being read, one waits, one is forgotten.
    #expect(machine.take().rereads.count == 1)
    try machine.send(good(files[0]))
    try machine.send(good(files[1]))
    #expect(machine.take().comparisons == 0)
    try machine.pass(.seconds(61))
    #expect(machine.take().comparisons == 1)
  }

  // MARK: What is bad

  @Test func aRottenFileIsNoCopyAnyMoreAndIsFetchedAgainUnderItsName() throws {
    let (machine, link, files) = try machine([a, b])
    try findRotten(files[0], on: machine)
    #expect(!machine.isHeld(a) && !machine.isAvailable(a) && machine.isHeld(b))
    var actions = machine.take()
    #expect(actions.told(link, of: a) == false)
    #expect(actions.orders(link).map(\.unit.content) == [a])
    let order = try #require(actions.asideOrders.first)
    #expect(order.path == files[0].path && order.inode == files[0].stamp.inode)
    #expect(String(decoding: order.target, as: UTF8.self).hasPrefix(".mantel/quarantine/"))
    #expect(try machine.report().reasons.contains(.badFiles(files: 1)))
    // The bytes come before the name is free: nothing is filed until it is.
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    #expect(machine.take().batches.isEmpty)
    try machine.send(.setAside(order.path, .done(order.target)))
    actions = machine.take()
    #expect(actions.batches.first?.operations.map(\.path) == [files[0].path])
    let batch = try #require(actions.batches.first)
    try machine.send(.filed(batch.id, [.done(path: files[0].path, machine.stamp(10, inode: 99))]))
    #expect(machine.isHeld(a))
    #expect(
      try machine.catalog.badFileCounts(healedSince: .init(nanoseconds: 0)) == .init(unhealed: 0, healed: 1))
    #expect(try machine.catalog.badFiles(after: nil, limit: 9).first?.file.aside == order.target)
  }

  @Test func aFalseClaimIsTakenBackAtOnce() throws {
    let (machine, _, files) = try machine([a, b])
    try machine.pass(.seconds(600))
    #expect(machine.take().attestations.last?.libraries.contains { $0.missingCount > 0 } == false)
    try findRotten(files[0], on: machine)
    try machine.pass(.seconds(1))
    let missing = machine.take().attestations.last?.libraries.flatMap(\.missing)
    #expect(missing == [a], "not after the minute that news wait")
  }

  @Test func whatWasBadIsNotForgottenByACrash() throws {
    let (machine, _, files) = try machine([a])
    try findRotten(files[0], on: machine)
    try machine.restart()
    #expect(!machine.isHeld(a))
    try machine.send(.tick)
    #expect(machine.take().asideOrders.map(\.path) == [files[0].path])
  }

  @Test(arguments: [SetAsideOutcome.gone, .failed]) func whatCannotBeMovedAwayBlocksNobody(
    outcome: SetAsideOutcome
  ) throws {
    let (machine, link, files) = try machine([a])
    try findRotten(files[0], on: machine)
    try machine.send(.setAside(files[0].path, outcome))
    _ = machine.take()
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    #expect(machine.take().batches.count == 1)
  }

  @Test func allNamesOfARottenFileAreBad() throws {
    let (machine, _, files) = try machine([a])
    var second = files[0]
    second.path += bytes(" 2")
    try machine.catalog.commitFiling(put: [second], removed: [], filed: [])
    try findRotten(files[0], on: machine)
    #expect(!machine.isHeld(a))
    #expect(try machine.catalog.replicaFiles(of: a).isEmpty)
    #expect(Set(machine.take().asideOrders.map(\.path)) == [files[0].path, second.path])
  }

  /// Fails, with an own file on a network filesystem, where that counts as another copy (`unhold`).
  @Test(arguments: [false, true]) func aFileThatRotsWhileItMovesIsFoundUnderItsNewName(isServed: Bool) throws
  {
    let (machine, link, files) = try machine([a])
    if isServed {
      try machine.publish("mine.jpg", a, machine.stamp(10))
      try machine.catalog.setFolder(SingleMachine.folderID, isLocal: false)
      _ = machine.take()
    }
    let (old, new) = (machine.entry("0.jpg", a), machine.entry("new.jpg", a))
    try machine.install(0, 2, [new], removed: [old], added: [new], over: link)
    let batch = try #require(machine.take().batches.first)
    try findRotten(files[0], on: machine)
    #expect(!machine.isHeld(a), "whatever becomes of the batch")
    #expect(machine.isAvailable(a) == isServed)
    let path = batch.operations[0].path
    try machine.send(.filed(batch.id, [.done(path: path, files[0].stamp)]))
    #expect(!machine.isHeld(a))
    #expect(machine.take().asideOrders.map(\.path) == [path])
  }

  @Test func anOwnFileHealsWithoutTheNetwork() throws {
    let (machine, link, files) = try machine([a])
    try machine.publish("mine.jpg", a, machine.stamp(10))
    _ = machine.take()
    try findRotten(files[0], on: machine)
    #expect(machine.isHeld(a), "the own file has the bytes")
    try machine.send(.setAside(files[0].path, .gone))
    let actions = machine.take()
    #expect(actions.orders(link).isEmpty)
    guard case .copyOwn(_, let source, files[0].path, a, _) = actions.batches.first?.operations.first else {
      Issue.record("\(actions.batches)")
      return
    }
    #expect(source == bytes("mine.jpg"))
  }

  /// By hand, or since an old catalog: both photos are whole, and may be the only ones.
  @Test func exchangedNamesAreNothingBad() throws {
    let (machine, _, files) = try machine([a, b])
    for file in files { try machine.send(.replicaFileDoubted(file.path)) }
    for (place, other) in zip(files, files.reversed()) {
      try machine.send(.reread(.replica(place.path), .read(other.content, other.stamp)))
    }
    #expect(machine.take().asideOrders.isEmpty)
  }

  /// Written in place, or by a tool that makes a new file and renames it: the file of that number, whatever it is.
  @Test(arguments: [0, 1_000]) func aFileThatSomebodyHasWrittenToIsSetAside(step: UInt64) throws {
    let (machine, _, files) = try machine([a])
    var stamp = files[0].stamp
    stamp.mtime += 3_600_000_000_000
    stamp.inode += step
    try machine.send(.replicaFileDoubted(files[0].path))
    try machine.send(.reread(.replica(files[0].path), .read(content("written over"), stamp)))
    #expect(!machine.isHeld(a))
    let orders = machine.take().asideOrders
    #expect(orders.map(\.path) == [files[0].path] && orders.map(\.inode) == [stamp.inode])
  }

  /// A move would make it look as though it had been.
  @Test func aFileInDoubtIsNotMovedBeforeItWasRead() throws {
    let (machine, link, files) = try machine([a])
    try machine.send(.replicaFileDoubted(files[0].path))
    let (old, new) = (machine.entry("0.jpg", a), machine.entry("new name.jpg", a))
    try machine.install(0, 2, [new], removed: [old], over: link)
    try machine.pass(.seconds(5))
    #expect(machine.take().batches.isEmpty)
    try machine.send(good(files[0]))
    #expect(machine.take().batches.count == 1)
  }

  @Test func theRightBytesUnderAnotherTimeAreNoLoss() throws {
    let (machine, _, files) = try machine([a])
    var stamp = files[0].stamp
    stamp.mtime += 3_600_000_000_000
    try machine.send(.replicaFileDoubted(files[0].path))
    #expect(machine.take().rereads == [.replica(files[0].path)])
    try machine.send(.reread(.replica(files[0].path), .read(a, stamp)))
    #expect(machine.isHeld(a))
    #expect(try machine.catalog.replicaFiles(of: a).map(\.stamp) == [stamp])
  }

  @Test func aBadFileThatNobodyWantsAnyMoreIsHealed() throws {
    let (machine, link, files) = try machine([a, b])
    try findRotten(files[0], on: machine)
    try machine.send(.setAside(files[0].path, .gone))
    #expect(try machine.report().reasons.contains(.badFiles(files: 1)))
    try machine.install(
      0, 2, [machine.entry("1.jpg", b)], removed: [machine.entry("0.jpg", a)], added: [], over: link)
    try machine.pass(.seconds(1))
    #expect(try !machine.report().reasons.contains(.badFiles(files: 1)))
  }

  @Test func aBadFileThatNobodyElseHasNeedsAPerson() throws {
    let (machine, link, files) = try machine([a, b])
    let owner = machine.peers[0].machine
    try machine.send(.linkClosed(link))
    try findRotten(files[0], on: machine)
    // Its owner is away, and has it in a folder as far as anybody knows.
    #expect(try machine.report().reasons.contains(.badFiles(files: 1)))
    #expect(try machine.report().state != .attention)
    let again = try machine.connect(has: [b])
    let order = try #require(machine.replicator.installedHead(of: owner)?.order)
    func say(_ number: UInt64, lacks missing: [ContentID]) throws {
      let held = [a, b].filter { !missing.contains($0) }
      let statement = machine.statement(owner, order, held: held, missing: missing)
      let word = try machine.attestation(0, number: number, [statement])
      try machine.send(.attestationReceived(again, word))
    }
    try say(1, lacks: [a])
    var report = try machine.report()
    #expect(report.state == .attention && report.reasons.contains(.unhealable(files: 1)))
    #expect(!report.reasons.contains(.badFiles(files: 1)))
    try say(2, lacks: [])
    report = try machine.report()
    #expect(report.state != .attention && report.reasons.contains(.badFiles(files: 1)))
  }

  /// The owner, or a third machine, is away; whether a bad file can be healed by what they said last.
  func isHealable(_ machine: SingleMachine) throws -> Bool {
    let reasons = try machine.report().reasons
    #expect(reasons.contains(.badFiles(files: 1)) != reasons.contains(.unhealable(files: 1)))
    return reasons.contains(.badFiles(files: 1))
  }

  /// The owner has published more since it attested last, and went away.
  @Test func whatCameAfterItsOwnersStatementIsStillInItsFolder() throws {
    let (machine, link, _) = try machine([a, b])
    let owner = machine.peers[0].machine
    let more = machine.entry("c.jpg", c)
    let word = try machine.attestation(
      0, [machine.statement(owner, HeadOrder(epoch: 1, sequence: 1), held: [a, b])])
    try machine.send(.attestationReceived(link, word))
    try machine.install(
      0, 2, [machine.entry("0.jpg", a), machine.entry("1.jpg", b), more], added: [more], over: link)
    #expect(machine.replicator.installedHead(of: owner)?.order.sequence == 2)
    try machine.send(.availabilityChanged(link, added: [c], removed: []))
    try machine.send(.unitVerified(link, UnitID(content: c, part: .whole)))
    try machine.fileAll()
    try machine.send(.linkClosed(link))
    let file = try #require(try machine.catalog.replicaFiles(of: c).first)
    try findRotten(file, on: machine)
    #expect(try isHealable(machine))
  }

  /// A machine whose disk is not there attests nothing; what it says is missing, it has not.
  @Test func aMachineThatSaysNothingOfALibraryMayHaveIt() throws {
    let (machine, link, files) = try machine([a], peers: 2)
    let owner = machine.peers[0].machine
    let order = HeadOrder(epoch: 1, sequence: 1)
    let lacking = machine.statement(owner, order, held: [], missing: [a])
    try machine.send(.attestationReceived(link, try machine.attestation(0, [lacking])))
    try machine.send(.linkClosed(link))
    try findRotten(files[0], on: machine)
    let other = try machine.connect(1)
    try machine.send(.attestationReceived(other, try machine.attestation(1, number: 1, [lacking])))
    #expect(try !isHealable(machine))
    try machine.send(.attestationReceived(other, try machine.attestation(1, number: 2, [])))
    #expect(try isHealable(machine))
  }

  // MARK: Verify

  @Test func aVerificationReadsAllAndHeals() throws {
    let (machine, link, files) = try machine([a, b])
    try machine.send(.verifyWanted(VerifyRequest(isAll: false, library: nil)))
    #expect(machine.take().rereads.isEmpty)
    #expect(try report(machine).phase == .done)
    try machine.pass(.seconds(1))
    try machine.send(.verifyWanted(VerifyRequest(isAll: true, library: nil)))
    var found = try report(machine)
    #expect(found.number == 2 && found.totalFiles == 2 && found.totalBytes == 20)
    for _ in files {
      guard case .replica(let path) = machine.take().rereads.first,
        let file = files.first(where: { $0.path == path })
      else {
        Issue.record("nothing is read")
        return
      }
      try machine.send(file.content == a ? rotten(file) : good(file))
    }
    found = try report(machine)
    #expect(found.phase == .healing && found.files == 2 && found.bad == 1 && found.stillBad == 1)
    try machine.send(.setAside(files[0].path, .gone))
    try machine.send(.unitVerified(link, UnitID(content: a, part: .whole)))
    try machine.fileAll()
    found = try report(machine)
    #expect(found.phase == .done && found.healed == 1 && found.stillBad == 0)
  }

  @Test func aVerificationDoesNotWaitForEverToHeal() throws {
    let (machine, link, files) = try machine([a])
    try machine.pass(.seconds(1))
    try machine.send(.verifyWanted(VerifyRequest(isAll: true, library: nil)))
    try machine.send(.linkClosed(link))
    try machine.send(rotten(files[0]))
    for _ in 0..<130 {
      machine.replicator.keepVerifying(now: machine.now)
      try machine.pass(.seconds(1))
    }
    let found = try report(machine)
    #expect(found.phase == .done && found.stillBad == 1)
  }

  @Test func aVerificationThatNobodyAsksAboutEnds() throws {
    let (machine, _, files) = try machine([a, b])
    try machine.pass(.seconds(1))
    try machine.send(.verifyWanted(VerifyRequest(isAll: true, library: nil)))
    try machine.pass(.seconds(61))
    #expect(try report(machine).phase == .stopped)
    _ = machine.take()
    try machine.send(good(files[0]))
    #expect(machine.take().rereads.isEmpty)
  }

  @Test func aVerificationOfOneMachineReadsOnlyItsPhotos() throws {
    let (machine, _, _) = try machine([a])
    try machine.publish("mine.jpg", b, machine.stamp(10))
    try machine.pass(.seconds(1))
    _ = machine.take()
    try machine.send(.verifyWanted(VerifyRequest(isAll: true, library: machine.machine)))
    #expect(machine.take().rereads == [.own(SingleMachine.folderID, bytes("mine.jpg"))])
  }

  @Test func theAttestationTellsTheOldestRead() throws {
    let (machine, _, files) = try machine([a, b])
    var old = files[1]
    old.verified = WallTime(nanoseconds: 77)
    try machine.catalog.commitFiling(put: [old], removed: [], filed: [])
    try findRotten(files[0], on: machine)
    try machine.pass(.seconds(61))
    #expect(machine.take().attestations.last?.oldestReread == WallTime(nanoseconds: 77))
  }
}

extension [ReplicationAction] {
  var rereads: [RereadTarget] {
    compactMap { if case .reread(let target, _) = $0 { target } else { nil } }
  }
  var asideOrders: [SetAsideOrder] {
    compactMap { if case .setAside(let order) = $0 { order } else { nil } }
  }
  var comparisons: Int { count { if case .compareReplica = $0 { true } else { false } } }
}
