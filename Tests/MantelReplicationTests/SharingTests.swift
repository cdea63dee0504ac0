import MantelCore
import Testing

@testable import MantelReplication

/// Who is asked for what, and how, when several machines lack the same.
@Suite struct SharingTests {
  private let photos = (0..<4).map { content("photo \($0)") }

  private func whole(_ content: ContentID) -> UnitID { UnitID(content: content, part: .whole) }

  /// A machine that lacks a peer's photos, as another peer does.
  private func swarm(
    takesPulls: Bool = true
  ) throws -> (machine: SingleMachine, source: LinkID, other: LinkID) {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    let source = try machine.connect(0, has: photos, takesPulls: takesPulls)
    let other = try machine.connect(1, takesPulls: takesPulls)
    let entries = photos.enumerated().map { machine.entry("\($0).jpg", $1, mtime: 100 - Int64($0)) }
    try machine.install(0, 1, entries, over: source)
    return (machine, source, other)
  }

  private func cancelled(_ actions: [ReplicationAction], _ link: LinkID) -> [UnitID] {
    actions.commands(link).flatMap { if case .cancelFetch(let units) = $0 { units } else { [UnitID]() } }
  }

  private func expected(_ actions: [ReplicationAction]) -> [UnitID] {
    actions.compactMap { if case .expect(_, let order) = $0 { order.unit } else { nil } }
  }

  @Test func whatNobodyElseLacksIsAskedForByName() throws {
    let machine = try SingleMachine(peers: 2)
    try machine.send(.recovered)
    let source = try machine.connect(0, has: photos, takesPulls: true)
    try machine.connect(1, has: photos, takesPulls: true)
    try machine.install(0, 1, photos.map { machine.entry("\($0.hex).jpg", $0) }, over: source)
    let actions = machine.take()
    #expect(actions.orders(source).count == photos.count && actions.pulls(source).isEmpty)
  }

  @Test func whatOthersLackTooIsLeftToTheChoiceOfWhoHasIt() throws {
    let (machine, source, other) = try swarm()
    let actions = machine.take()
    #expect(actions.orders(source).isEmpty && actions.pulls(other).isEmpty)
    #expect(actions.pulls(source).map { Set($0.units) } == [Set(photos.map(whole))])
  }

  @Test func whoDoesNotKnowPullsIsAskedByName() throws {
    let (machine, source, _) = try swarm(takesPulls: false)
    let actions = machine.take()
    #expect(actions.pulls(source).isEmpty && actions.orders(source).count == photos.count)
  }

  @Test func aChosenUnitIsExpectedAndOneThatCameMeanwhileIsDeclined() throws {
    let (machine, source, _) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    let chosen = try machine.send(.unitChosen(source, pull.job, whole(photos[2])))
    #expect(expected(chosen) == [whole(photos[2])] && cancelled(chosen, source).isEmpty)
    try machine.send(.unitVerified(source, whole(photos[2])))
    #expect(machine.isAvailable(photos[2]))
    let late = try machine.send(.unitChosen(source, pull.job, whole(photos[2])))
    #expect(expected(late).isEmpty && cancelled(late, source) == [whole(photos[2])])
  }

  @Test func whatAnotherGetterHasIsAskedOfItByName() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    try machine.send(.availabilityChanged(other, added: [photos[1]], removed: []))
    #expect(machine.take().orders(other).map(\.unit) == [whole(photos[1])])
    // The source chose it before it heard of that.
    let chosen = try machine.send(.unitChosen(source, pull.job, whole(photos[1])))
    #expect(expected(chosen).isEmpty && cancelled(chosen, source) == [whole(photos[1])])
    try machine.send(.jobEnded(source, pull.job, .cancelled))
    let next = try #require(machine.take().pulls(source).first)
    #expect(Set(next.units) == Set([photos[0], photos[2], photos[3]].map(whole)))
  }

  /// Two that choose for one asker choose the same: that is sent twice.
  @Test func whatAllOthersHaveByNowIsAskedByNameOfEachInTurn() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    let actions = try machine.send(.availabilityChanged(other, added: photos, removed: []))
    let asked = [source, other].map { actions.orders($0).map(\.unit) }
    #expect(asked.map(\.count) == [2, 2] && Set(asked.joined()) == Set(photos.map(whole)))
    #expect(actions.pulls(source).isEmpty && actions.pulls(other).isEmpty)
    // What the source chose before is declined, and with it the rest of what was left to it.
    let chosen = try machine.send(.unitChosen(source, pull.job, try #require(asked[1].first)))
    #expect(expected(chosen).isEmpty && cancelled(chosen, source).count == 1)
    try machine.send(.jobEnded(source, pull.job, .cancelled))
    #expect(machine.take().pulls(source).isEmpty)
  }

  /// Nothing is kept of what comes.
  @Test func onAFailingDiskNothingIsSharedUntilItIsMountedAnew() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    machine.failReplicaDisk()
    let chosen = try machine.send(.unitChosen(source, pull.job, whole(photos[2])))
    #expect(expected(chosen).isEmpty && cancelled(chosen, source) == [whole(photos[2])])
    try machine.send(.availabilityChanged(other, added: [photos[1]], removed: []))
    try machine.send(.jobEnded(source, pull.job, .cancelled))
    try machine.pass(machine.settings.retry)
    let actions = machine.take()
    #expect(actions.orders(other).isEmpty && actions.orders(source).isEmpty && actions.pulls(source).isEmpty)
    try machine.send(.replicaAway)
    try machine.send(.replicaMounted)
    let resumed = machine.take()
    #expect(resumed.orders(other).map(\.unit) == [whole(photos[1])] && !resumed.pulls(source).isEmpty)
  }

  @Test func whoChoosesNothingIsAskedByName() throws {
    let (machine, source, _) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    // It may take it that all is here.
    let actions = try machine.send(.jobEnded(source, pull.job, .complete))
    #expect(
      actions.pulls(source).isEmpty && Set(actions.orders(source).map(\.unit)) == Set(photos.map(whole)))
  }

  @Test func whoDoesNotWantToChooseIsLeftToChooseLater() throws {
    let (machine, source, _) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    try machine.send(.jobEnded(source, pull.job, .busy))
    let actions = machine.take()
    #expect(actions.pulls(source).isEmpty && actions.orders(source).isEmpty)
    try machine.pass(machine.settings.retry)
    #expect(machine.take().pulls(source).count == 1)
  }

  @Test func whoTurnsOutNotToHaveItIsAskedLaterAndNobodyWaits() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    try machine.send(.jobEnded(source, pull.job, .complete))
    for photo in photos { try machine.send(.unitEnded(source, whole(photo), .notHeld)) }
    #expect(machine.replicator.shared.isEmpty)
    // Meanwhile another gets it: it need not be asked of the first.
    _ = machine.take()
    try machine.send(.availabilityChanged(other, added: [photos[0]], removed: []))
    #expect(machine.take().orders(other).map(\.unit) == [whole(photos[0])])
    try machine.pass(machine.settings.retry(waiting: photos.count))
    let asked = machine.take().pulls(source).flatMap(\.units)
    #expect(Set(asked) == Set(photos.dropFirst().map(whole)))
  }

  @Test func whatSomebodyWaitsForIsAskedByName() throws {
    let (machine, source, _) = try swarm()
    _ = machine.take()
    let missing = MissingContent(
      content: photos[1], size: machine.entry("1.jpg", photos[1], mtime: 99).size, manifest: nil, mtime: 99,
      library: machine.peers[0].machine)
    try machine.send(.recall(RecallID(1), RecallOrder(missing)))
    #expect(machine.take().orders(source).map(\.unit) == [whole(photos[1])])
  }

  @Test func whatIsSharedIsGotOfOneThatDoesNotKnowPullsWhenTheOtherIsGone() throws {
    let machine = try SingleMachine(peers: 3)
    try machine.send(.recovered)
    let source = try machine.connect(0, has: photos, takesPulls: true)
    let old = try machine.connect(1, has: photos)
    try machine.connect(2, takesPulls: true)
    let entries = photos.enumerated().map { machine.entry("\($0).jpg", $1, mtime: 100 - Int64($0)) }
    try machine.install(0, 1, entries, over: source)
    try machine.send(.linkClosed(source))
    #expect(Set(machine.take().orders(old).map(\.unit)) == Set(photos.map(whole)))
  }

  @Test func nothingOfAFullWindowKeepsAnotherLinkWaiting() throws {
    var settings = ReplicationSettings()
    settings.sharedUnits = 2
    let machine = try SingleMachine(peers: 3, settings: settings)
    try machine.send(.recovered)
    let first = try machine.connect(0, has: Array(photos[..<3]), takesPulls: true)
    let second = try machine.connect(1, has: [photos[3]], takesPulls: true)
    try machine.connect(2, takesPulls: true)
    let entries = photos.enumerated().map { machine.entry("\($0).jpg", $1, mtime: 100 - Int64($0)) }
    try machine.install(0, 1, entries, over: first)
    let actions = machine.take()
    #expect(actions.pulls(first).flatMap(\.units).count == 2)
    #expect(actions.pulls(second).flatMap(\.units) == [whole(photos[3])])
  }

  @Test func whatALinkTakesWithItIsGotFromTheOther() throws {
    let (machine, source, other) = try swarm()
    let pull = try #require(machine.take().pulls(source).first)
    try machine.send(.unitChosen(source, pull.job, whole(photos[0])))
    try machine.send(.linkClosed(source))
    try machine.send(.availabilityChanged(other, added: photos, removed: []))
    #expect(Set(machine.take().orders(other).map(\.unit)) == Set(photos.map(whole)))
  }

  // MARK: Choosing

  private func candidates(_ holders: [Int] = [0, 0, 0, 0], own: [Bool] = []) -> [Uplink.Candidate] {
    photos.enumerated().map {
      Uplink.Candidate(
        unit: whole($1), holders: holders[$0], isOwnShare: $0 < own.count ? own[$0] : true)
    }
  }

  @Test func everyUnitGoesOutOnceBeforeOneGoesOutTwice() {
    var uplink = Uplink()
    let sent = (0..<4).flatMap { uplink.pick(candidates(), count: 1, for: LinkID(UInt64($0))) }
    #expect(Set(sent).count == 4)
    #expect(uplink.pick(candidates([2, 1, 0, 1]), count: 1, for: LinkID(9)) == [whole(photos[2])])
  }

  @Test func ofWhatOthersHaveTooTheOwnShareComesFirst() {
    var uplink = Uplink()
    let all = candidates([1, 1, 1, 1], own: [false, false, true, false])
    #expect(uplink.pick(all, count: 2, for: LinkID(1)) == [whole(photos[2]), whole(photos[0])])
  }

  @Test func whoIsSlowGetsWhatOthersHave() {
    var uplink = Uplink()
    let (slow, fast) = (LinkID(1), LinkID(2))
    _ = uplink.pick(candidates(), count: 1, for: slow)
    for _ in 0..<3 { _ = uplink.pick(candidates(), count: 4, for: fast) }
    #expect(uplink.isSlow(slow) && !uplink.isSlow(fast))
    #expect(uplink.pick(candidates([0, 0, 0, 7]), count: 1, for: slow) == [whole(photos[3])])
    #expect(uplink.pick(candidates([0, 0, 0, 7]), count: 3, for: fast).contains(whole(photos[3])) == false)
  }
}
