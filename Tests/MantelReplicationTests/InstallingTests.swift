import MantelCore
import Testing

@testable import MantelReplication

/// A head that was shown is installed in the end, and never from a mixture.
@Suite struct InstallingTests {
  private let a = content("a")
  private let b = content("b")

  @Test(arguments: [LinkOutcome.busy, .failed, .notHeld, .cancelled])
  func aHeadThatALinkFailedToServeIsAskedForAgain(outcome: LinkOutcome) throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    _ = machine.take()
    let head = try machine.head(0, 1, [machine.entry("a.jpg", a)])
    let job = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    #expect(try machine.send(.jobEnded(link, job, outcome)).deltas(link).isEmpty)
    _ = machine.take()
    try machine.pass(machine.settings.retry)
    #expect(machine.take().deltas(link).count == 1)
  }

  @Test func aDifferenceInManyPiecesIsFetchedInOneJobAtATime() throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    let entries = (0..<6).map { machine.entry("\($0).jpg", content("\($0)")) }
    let head = try machine.head(0, 1, entries)
    let delta = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    let compare = try #require(
      try machine.send(.jobEnded(link, delta, .unknownHead)).reconciliations(link).first)
    _ = machine.take()
    for entry in entries {
      let id = EntryID(of: entry).digest
      try machine.send(.differenceFound(link, compare.job, theirsOnly: [id], mineOnly: []))
    }
    try machine.send(.jobEnded(link, compare.job, .complete))
    var asked = 0
    while let fetch = machine.take().entryFetches(link).first {
      asked += 1
      let found = entries.filter { fetch.ids.contains(EntryID(of: $0)) }
      try machine.send(.entriesReceived(link, fetch.job, added: found, removed: []))
      try machine.send(.jobEnded(link, fetch.job, .complete))
    }
    #expect(asked == 2, "the first piece, and all that came meanwhile")
    #expect(machine.replicator.installedHead(of: machine.peers[0].machine) == head.record)
  }

  /// A peer's late answers to a fetch that was given up are of another head.
  @Test func whatAnAbandonedFetchStillBringsIsNotStaged() throws {
    let machine = try SingleMachine()
    let link = try machine.connect()
    let old = machine.entry("old.jpg", a)
    let new = machine.entry("new.jpg", b)
    let delta = try #require(
      try machine.send(.headReceived(link, try machine.head(0, 1, [old]))).deltas(link).first)
    let compare = try #require(
      try machine.send(.jobEnded(link, delta, .unknownHead)).reconciliations(link).first)
    let late = try #require(
      try machine.send(
        .differenceFound(link, compare.job, theirsOnly: [EntryID(of: old).digest], mineOnly: [])
      ).entryFetches(link).first)
    try machine.send(.jobEnded(link, compare.job, .failed))
    let head = try machine.head(0, 2, [new])
    let next = try #require(try machine.send(.headReceived(link, head)).deltas(link).first)
    try machine.send(.entriesReceived(link, late.job, added: [old], removed: []))
    try machine.send(.jobEnded(link, late.job, .complete))
    try machine.send(.entriesReceived(link, next, added: [new], removed: []))
    #expect(try machine.catalog.staged(machine.peers[0].machine).added == [EntryID(of: new)])
    try machine.send(.jobEnded(link, next, .complete))
    #expect(machine.replicator.installedHead(of: machine.peers[0].machine) == head.record)
  }
}
