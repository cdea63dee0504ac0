import MantelCore
import Testing

@testable import MantelReplication

/// What a library drops at once beyond its limit stays where it is until somebody decides.
@Suite struct DropLimitTests {
  private let month: Duration = .agentDay * 30

  @Test func whatPassesTheLimitStaysUntilSomebodyConfirms() throws {
    let all = SingleMachine.photos(12)
    let (machine, link) = try SingleMachine.holding(all)
    let head = machine.replicator.installedHead(of: machine.peers[0].machine)?.order
    let gone = Array(all.prefix(11))
    try machine.drop(gone, of: all, 2, over: link)
    #expect(machine.replicator.installedHead(of: machine.peers[0].machine)?.order != head)
    #expect(try gone.allSatisfy { try machine.file(of: $0)?.mark == .held })
    #expect(try gone.allSatisfy { try !machine.isInTrash($0) })
    let report = try machine.report()
    #expect(report.state == .attention)
    #expect(report.reasons.contains(.heldDrops(machine.peers[0].machine, files: 11, bytes: 110)))
    // Nothing else waits: the machine holds all that is wanted of it.
    let roots = machine.replicator.roots(of: machine.peers[0].machine)
    #expect(roots.wanted == roots.held)
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(month + .agentDay)
    #expect(try machine.fileAll().isEmpty)

    try machine.send(.dropsConfirmed(machine.peers[0].machine))
    try machine.fileAll()
    #expect(try gone.allSatisfy { try machine.isInTrash($0) })
    #expect(
      try machine.report().reasons.contains { if case .heldDrops = $0 { true } else { false } } == false)
    // What was confirmed does not count against what comes.
    let again = try machine.connect(has: all)
    try machine.install(
      0, 3, all.map { machine.dropped($0) }, removed: machine.entries([all[11]]),
      added: [machine.dropped(all[11])], over: again)
    try machine.fileAll()
    #expect(try machine.isInTrash(all[11]))
  }

  @Test func dropsOfAMonthAreCountedTogether() throws {
    let all = SingleMachine.photos(13)
    let (machine, link) = try SingleMachine.holding(all)
    try machine.drop(Array(all.prefix(10)), of: all, 2, over: link)
    #expect(try all.prefix(10).allSatisfy { try machine.isInTrash($0) })
    // One more than a month may have, and all that come after it.
    let rest = Array(all.dropFirst(10))
    let forgotten = all.prefix(10).map { machine.dropped($0) }
    for (index, photo) in rest.prefix(2).enumerated() {
      let kept = Array(rest.dropFirst(index + 1))
      try machine.install(
        0, UInt64(3 + index),
        forgotten + machine.entries(kept) + rest.prefix(index + 1).map { machine.dropped($0) },
        removed: machine.entries([photo]), added: [machine.dropped(photo)], over: link)
      try machine.fileAll()
    }
    #expect(try rest.prefix(2).allSatisfy { try machine.file(of: $0)?.mark == .held })
  }

  @Test func whatIsTakenBackIsHeldNoMore() throws {
    let all = SingleMachine.photos(11)
    let (machine, link) = try SingleMachine.holding(all)
    try machine.drop(all, of: all, 2, over: link)
    #expect(try all.allSatisfy { try machine.file(of: $0)?.mark == .held })
    try machine.install(
      0, 3, machine.entries(all), removed: all.map { machine.dropped($0) },
      added: machine.entries(all), over: link)
    #expect(try machine.fileAll().isEmpty)
    #expect(try all.allSatisfy { try machine.file(of: $0)?.mark == nil })
    #expect(try machine.report().state != .attention)
  }

  @Test func theLimitGrowsWithTheLibrary() {
    let limit = DropLimit(least: 10, most: 100, share: 100)
    #expect(limit.contents(entries: 0) == 10)
    #expect(limit.contents(entries: 5_000) == 50)
    #expect(limit.contents(entries: 4_000_000) == 100)
  }

  /// A content that comes under the names of many that go with the same head: they are judged together, however they came
  /// into the batch.
  @Test func whatLiesUnderNamesThatAreWantedIsJudgedTogether() throws {
    var settings = ReplicationSettings()
    settings.batchFiles = 2
    let gone = SingleMachine.photos(30)
    let x = content("x")
    let (machine, link) = try SingleMachine.holding(gone + [x], settings: settings)
    let dropped = gone.map { machine.dropped($0) }
    let first = try #require(dropped.map { EntryID(of: $0).digest }.min())
    // Who writes the head sees to it that the new entries are looked at before the dropped ones.
    let name = "\(gone[0].hex.prefix(8)).jpg"
    let mtime = try #require(
      (1...10_000).first { EntryID(of: machine.entry(name, x, mtime: $0)).digest < first })
    var places = [machine.entry(name, x, mtime: mtime)]
    places += gone.dropFirst().map { machine.entry("\($0.hex.prefix(8)).jpg", x, mtime: mtime) }
    try machine.install(
      0, 2, machine.entries([x]) + places + dropped, removed: machine.entries(gone), added: places + dropped,
      over: link)
    try machine.fileAll()
    #expect(try gone.allSatisfy { try machine.file(of: $0)?.mark == .held })
    #expect(try machine.catalog.replicaFiles(of: x).count == 31)
  }

  /// Drops on their way to the trash, on a disk that does not say whether they got there.
  @Test func whatIsNotKnownToHaveMovedCountsToo() throws {
    let all = SingleMachine.photos(12)
    let (machine, link) = try SingleMachine.holding(all)
    let (first, second) = (Array(all.prefix(6)), Array(all.dropFirst(6)))
    let dropped = all.map { machine.dropped($0) }
    try machine.install(
      0, 2, machine.entries(second) + dropped.prefix(6), removed: machine.entries(first),
      added: Array(dropped.prefix(6)), over: link)
    let batch = try #require(machine.take().batches.first)
    let failure = FilingFailure(code: .io, errno: 5, message: "a test")
    try machine.send(.filed(batch.id, batch.operations.map { _ in .failed(failure) }))
    try machine.pass(machine.settings.retry)
    let again = try #require(machine.take().batches.first)
    try machine.send(.filed(again.id, again.operations.map { _ in .failed(failure) }))
    try machine.install(
      0, 3, dropped, removed: machine.entries(second), added: Array(dropped.dropFirst(6)), over: link)
    try machine.fileAll()
    #expect(try second.allSatisfy { try machine.file(of: $0)?.mark == .held })
  }

  /// As many may be others.
  @Test func aConsentIsToWhatWasShown() throws {
    let all = SingleMachine.photos(13)
    let (machine, link) = try SingleMachine.holding(all)
    let library = machine.peers[0].machine
    try machine.drop(Array(all.prefix(12)), of: all, 2, over: link)
    let shown = try machine.replicator.undecidedDrops()[library]
    let consent = try machine.replicator.consent(toDropsOf: library)
    func decision(_ given: String?) throws -> Bool {
      try machine.replicator.decision(onDropsOf: library, accepts: true, consent: given) != nil
    }
    #expect(try decision(consent) && decision(nil))
    // One is taken back, and another one goes.
    let (back, gone) = (all[0], all[12])
    try machine.install(
      0, 3, machine.entries([back]) + all.dropFirst().map { machine.dropped($0) },
      removed: [machine.dropped(back)] + machine.entries([gone]),
      added: machine.entries([back]) + [machine.dropped(gone)], over: link)
    try machine.fileAll()
    #expect(try machine.replicator.undecidedDrops()[library] == shown)
    #expect(try !decision(consent) && decision(machine.replicator.consent(toDropsOf: library)))
    try machine.send(.dropsConfirmed(library))
    try machine.fileAll()
    let none = try machine.replicator.consent(toDropsOf: library)
    #expect(none == Consent.to([]))
  }

  /// What goes to the trash as a second copy was counted by nobody, whatever its library says before it is there.
  @Test func aDropThatComesWhileSecondCopiesAreMovedIsJudged() throws {
    let all = SingleMachine.photos(12)
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: all)
    let firsts = machine.entries(all)
    let seconds = all.map { machine.entry("2-\($0.hex.prefix(8)).jpg", $0, mtime: 7) }
    try machine.install(0, 1, firsts + seconds, over: link)
    for photo in all { try machine.send(.unitVerified(link, UnitID(content: photo, part: .whole))) }
    try machine.fileAll()
    _ = machine.take()
    try machine.install(0, 2, firsts, removed: seconds, added: [], over: link)
    let batch = try #require(machine.take().batches.first)
    #expect(batch.operations.count == 12)
    let dropped = all.map { machine.dropped($0) }
    try machine.install(0, 3, dropped, removed: firsts, added: dropped, over: link)
    try machine.send(
      .filed(
        batch.id,
        batch.operations.map { .done(path: $0.path, machine.stamp(10, mtime: $0.mtime, inode: 70)) }))
    try machine.fileAll()
    for photo in all {
      let files = try machine.catalog.replicaFiles(of: photo)
      let outside = files.filter { !FilingPlan.isDiscarded($0.path) }
      #expect(files.count == 2 && outside.map(\.mark) == [.held])
    }
  }
}
