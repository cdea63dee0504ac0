import MantelCore
import MantelHousehold
import MantelSummary
import Testing

@testable import MantelReplication

/// Photos of the own library that no machine has any more.
@Suite struct LostTests {
  private let a = content("a")
  private let b = content("b")
  private let week: Duration = .agentDay * 7

  /// A machine whose photo was deleted after somebody had it.
  private func deleted(peers: Int = 2) throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine(peers: peers)
    try machine.send(.recovered)
    try machine.publish("a.jpg", a, machine.stamp(1))
    try machine.publish("b.jpg", b, machine.stamp(2, inode: 8))
    let link = try machine.connect(0, has: [a, b])
    try machine.send(.linkClosed(link))
    try machine.delete("a.jpg")
    #expect(try machine.ownEntries(of: a).first?.state.isRetired == true)
    return (machine, try machine.connect(0, has: [b]))
  }

  private func say(
    _ peer: Int, _ number: UInt64, lacks missing: [ContentID], on machine: SingleMachine, _ link: LinkID
  ) throws {
    let order = try #require(machine.head?.order)
    try machine.send(
      .attestationReceived(
        link,
        try machine.attestation(
          peer, number: number,
          [
            machine.statement(
              machine.machine, order, held: [a, b].filter { !missing.contains($0) }, missing: missing)
          ])))
  }

  private func isUnheld(on machine: SingleMachine) throws -> Bool {
    try machine.catalog.formerEntries(machine.machine, of: a).contains {
      if case .unheld = $0.entry.state { true } else { false }
    }
  }

  private func isLost(on machine: SingleMachine) throws -> Bool {
    try machine.report().reasons.contains(.lost(files: 1))
  }

  @Test func whatAllReportMissingForAWeekIsGivenUp() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(.agentDay)
    // The second one has not been seen: one word is enough, and a restart forgets no day.
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(week - .agentDay - .seconds(3_600))
    #expect(try !isUnheld(on: machine))
    try machine.pass(.seconds(3_700))
    #expect(try isUnheld(on: machine) && machine.ownEntries(of: a).isEmpty)
    #expect(try isLost(on: machine) && machine.report().state == .attention)
    // Not wanted any more, and still there by name.
    #expect(!machine.replicator.contents.isWanted(a, in: machine.machine))
    try machine.catalog.acknowledgeLost()
    #expect(try !isLost(on: machine))
  }

  /// A machine that lacks very many has no room to name them all.
  @Test func whatIsNamedOfTooManyIsGivenUpToo() throws {
    let (machine, link) = try deleted()
    let order = try #require(machine.head?.order)
    let statement = machine.statement(
      machine.machine, order, held: [b], missing: [a], missingCount: UInt64(Limits.attestedMissing) + 1)
    try machine.send(.attestationReceived(link, try machine.attestation(0, number: 1, [statement])))
    try machine.pass(week + .seconds(60))
    #expect(try isUnheld(on: machine))
  }

  @Test func ofTooManyThoseThatNobodyHasAreNamed() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let photos = (0...Limits.attestedMissing).map { content("photo \($0)") }
    let link = try machine.connect(has: Array(photos.dropLast()))
    let entries = photos.enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }
    try machine.install(0, 1, entries, over: link)
    try machine.pass(machine.settings.attestWhileIncomplete)
    let word = machine.replicator.attesting.newest[machine.machine]?.record
    let said = try #require(word?.libraries.first { $0.library == machine.peers[0].machine })
    #expect(said.missingCount == UInt64(photos.count) && said.missing == [photos[Limits.attestedMissing]])
  }

  /// Its disk may be away, or it has not shown all yet. Fails where what a peer does not show counts at once (`missingEverywhere`).
  @Test(arguments: [(true, true), (true, false), (false, true)])
  func ofTooManyNoneIsNamedWhileAPeerMayHaveIt(saysItsWord: Bool, compares: Bool) throws {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    let photos = (0...Limits.attestedMissing).map { content("photo \($0)") }
    let link = try machine.connect(has: Array(photos.dropLast()))
    try machine.connect(1, compares: compares, saysItsWord: saysItsWord)
    let entries = photos.enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }
    try machine.install(0, 1, entries, over: link)
    try machine.pass(machine.settings.attestWhileIncomplete)
    let word = machine.replicator.attesting.newest[machine.machine]?.record
    let said = try #require(word?.libraries.first { $0.library == machine.peers[0].machine })
    #expect(said.missingCount == UInt64(photos.count))
    #expect(said.missing == (saysItsWord && compares ? [photos[Limits.attestedMissing]] : []))
  }

  @Test func oneThatHasItKeepsItWanted() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try say(1, 1, lacks: [], on: machine, link)
    try machine.pass(week * 2)
    #expect(try !isUnheld(on: machine))
    // It counts from when the last one lacks it too.
    try say(1, 2, lacks: [a], on: machine, link)
    try machine.pass(week - .seconds(60))
    #expect(try !isUnheld(on: machine))
    try machine.pass(.seconds(120))
    #expect(try isUnheld(on: machine))
  }

  @Test func oneThatGetsItInTimeStartsTheWeekAnew() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(.agentDay * 6)
    try say(0, 2, lacks: [], on: machine, link)
    try say(0, 3, lacks: [a], on: machine, link)
    try machine.pass(.agentDay * 6)
    #expect(try !isUnheld(on: machine))
  }

  @Test func whoIsHereAndHasSaidNothingMayHaveIt() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.connect(1, has: [b], compares: false)
    try machine.pass(week * 2)
    #expect(try !isUnheld(on: machine))
  }

  @Test func aLastWordThatIsTooOldIsNoObstacle() throws {
    let (machine, link) = try deleted()
    try say(1, 1, lacks: [], on: machine, link)
    try machine.pass(.agentDay * 31)
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(week + .seconds(60))
    #expect(try isUnheld(on: machine))
  }

  @Test func aLivePhotoIsNeverGivenUp() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a, b].sorted(), on: machine, link)
    // Its folder is away: nothing here shows it either.
    try machine.send(.folderOffline(SingleMachine.folderID))
    try machine.pass(week * 2)
    #expect(try machine.ownEntries(of: b).map(\.state) == [.live])
    #expect(try isUnheld(on: machine))
  }

  @Test func aMachineThatTurnsUpWithItClearsTheMark() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(week + .seconds(60))
    #expect(try isUnheld(on: machine))
    try machine.restart()
    try machine.send(.recovered)
    try machine.connect(1, has: [a])
    try machine.pass(.seconds(1))
    #expect(try machine.ownEntries(of: a).map(\.state) == [.retired(.missing, at: machine.ownTime(of: a))])
    #expect(try !isLost(on: machine) && machine.catalog.lostCounts() == LostContents())
  }

  /// It was copied, and its machine had not attested it when this one died.
  @Test(arguments: [true, false]) func whatNobodySeemedToHaveIsTakenFromWhoTurnsUpWithIt(restarts: Bool)
    throws
  {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    try machine.publish("a.jpg", a, machine.stamp(1))
    try machine.delete("a.jpg")
    #expect(try isUnheld(on: machine) && !isLost(on: machine))
    if restarts {
      try machine.restart()
      try machine.send(.recovered)
    }
    try machine.connect(has: [a])
    try machine.pass(.seconds(1))
    #expect(try machine.ownEntries(of: a).map(\.state) == [.retired(.missing, at: machine.ownTime(of: a))])
  }

  /// The head that wants it again waits for others; the process dies before it is out.
  @Test func whatWasFoundAgainIsFoundOnceMoreAfterACrash() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(week + .seconds(60))
    #expect(try isUnheld(on: machine))
    try machine.write("c.jpg", content("c"), machine.stamp(3, inode: 9))
    try machine.connect(1, has: [a])
    #expect(try isUnheld(on: machine), "the head is not out yet")
    try machine.restart()
    try machine.send(.recovered)
    try machine.connect(1, has: [a])
    try machine.pass(.seconds(3))
    #expect(try !isUnheld(on: machine))
  }

  /// On a share: its machine can serve it, and does not hold it.
  @Test func whatLiesInSomebodyElsesFolderIsNotLost() throws {
    let (machine, link) = try deleted()
    try machine.install(1, 1, [machine.entry("theirs.jpg", a)], over: link)
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(week * 2)
    #expect(try !isUnheld(on: machine))
  }

  /// Who admitted its owner was removed, so that it is no member: it comes back with its folders all the same.
  @Test func whatLiesInTheFolderOfOneToBeInvitedAgainIsNotLost() throws {
    let (machine, link) = try deleted()
    let wall = machine.now.wall
    var roster = machine.replicator.roster
    let removal = try roster.removing(
      machine.peers[0].machine, lastHead: .none, lastRoot: .zero, by: machine.key, now: wall)
    let owner = DeviceKey()
    let admission = try roster.admitting(
      subject: owner.machine, publicKey: owner.publicKey, name: "late", replaces: nil,
      by: machine.peers[0], now: wall)
    _ = roster.merge([admission])
    let acceptance = try roster.accepting(by: owner, now: wall)
    try machine.send(.rosterReceived(link, [admission.bytes, acceptance.bytes]))
    let entry = machine.entry("theirs.jpg", a)
    var counts = LibraryCounts()
    counts.count(entry, by: 1)
    let view = SetSnapshot(
      sorted: [EntryID(of: entry).digest], tag: .entries(machine.household, library: owner.machine))
    let head = try owner.sign(
      Head(
        library: owner.machine, signer: owner.machine, order: HeadOrder(epoch: 1, sequence: 1),
        root: view.root, counts: counts, time: wall), in: machine.household)
    let job = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    try machine.send(.entriesReceived(link, job, added: [entry], removed: []))
    try machine.send(.jobEnded(link, job, .complete))
    try machine.send(.rosterReceived(nil, [removal.bytes]))
    try machine.send(.linkClosed(link))
    #expect(machine.replicator.installedHead(of: owner.machine) == head.record)
    #expect(machine.replicator.roster.standing(of: owner.machine) == .voided)

    let other = try machine.connect(1, has: [b])
    try say(1, 1, lacks: [a], on: machine, other)
    try machine.pass(week * 2)
    #expect(try !isUnheld(on: machine))
  }

  @Test func aLostPhotoThatIsForgottenIsMissedByNobody() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(week + .seconds(60))
    #expect(try isLost(on: machine))
    let entry = try #require(try machine.catalog.formerEntries(machine.machine, of: a).first)
    try machine.send(.forget([entry.id]))
    #expect(try !isLost(on: machine) && machine.catalog.lostCounts() == LostContents())
  }

  /// A machine that wakes hears the others first.
  @Test func nothingIsGivenUpAsSoonAsAMachineWakes() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(week - .seconds(30))
    machine.sleep(.agentDay * 30)
    try machine.send(.tick)
    #expect(try !isUnheld(on: machine))
    try machine.pass(.seconds(58))
    #expect(try !isUnheld(on: machine))
    try machine.pass(.seconds(5))
    #expect(try isUnheld(on: machine))
  }

  @Test func aFileThatComesBackClearsItToo() throws {
    let (machine, link) = try deleted()
    try say(0, 1, lacks: [a], on: machine, link)
    try machine.pass(week + .seconds(60))
    try machine.publish("a.jpg", a, machine.stamp(1))
    try machine.pass(.seconds(1))
    #expect(try machine.ownEntries(of: a).map(\.state) == [.live])
    #expect(try !isLost(on: machine))
  }
}

extension SingleMachine {
  /// When an entry became what it is.
  fileprivate func ownTime(of content: ContentID) throws -> WallTime {
    for entry in try ownEntries(of: content) {
      if case .retired(_, let at) = entry.state { return at }
    }
    return WallTime(nanoseconds: 0)
  }
}
