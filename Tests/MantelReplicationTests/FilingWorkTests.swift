import Glibc
import MantelCore
import Testing

@testable import MantelReplication

/// Filing takes time in proportion to entries and files, also where thousands of them have the same bytes.
@Suite struct FilingWorkTests {
  private let many = content("one of many names")

  /// Processor time of this thread, which does all the work, SQLite's too: others on the machine do not count.
  private func time(of work: () throws -> Void) rethrows -> Double {
    func now() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    let start = now()
    try work()
    return now() - start
  }

  /// Four times the files, four times the work; with the square of them it would be sixteen times.
  private func expectLinear(_ measure: (Int) throws -> Double) throws {
    let few = 200
    _ = try measure(few)
    let (short, long) = (try measure(few), try measure(4 * few))
    #expect(long < 9 * short, "\(few) files: \(short) s, \(4 * few) files: \(long) s")
  }

  /// A machine that holds one content under many names of its first peer, and some others under one each.
  private func holding(_ count: Int, others: [ContentID] = []) throws -> (SingleMachine, LinkID, [Entry]) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [many] + others)
    let names = (0..<count).map { machine.entry("\($0).xmp", many) }
    try machine.install(0, 1, names + machine.entries(others), over: link)
    for content in [many] + others {
      try machine.send(.unitVerified(link, UnitID(content: content, part: .whole)))
    }
    try machine.fileAll()
    #expect(try machine.catalog.replicaFiles(of: many).count == count)
    return (machine, link, names)
  }

  /// The event that installs a library also asks for what is missing of it: that is not to wait until all of it was filed.
  @Test func littleOfAFirstInstallIsFiledBeforeWhatIsMissingIsAskedFor() throws {
    var settings = ReplicationSettings()
    settings.firstAbsentRows = 2
    let machine = try SingleMachine(settings: settings)
    let link = try machine.connect()
    let photos = (0..<40).map { content("photo \($0)") }
    try machine.install(0, 1, machine.entries(photos), over: link)
    #expect(try machine.catalog.unfiled(limit: 99).count == 38)
    let ticks = try machine.pass(.zero)
    #expect(ticks <= 4, "more in each further event")
    #expect(try machine.catalog.unfiled(limit: 99).isEmpty)
  }

  /// A batch costs syncs, however small it is: under load it is to have many files. But nothing waits for what does not come.
  @Test func aBatchWaitsForMoreWhileMuchIsOnItsWay() throws {
    var settings = ReplicationSettings()
    settings.gatherUnits = 2
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    let photos = (0..<5).map { content("photo \($0)") }
    let link = try machine.connect(has: photos)
    try machine.install(0, 1, machine.entries(photos), over: link)
    func verify(_ index: Int) throws -> [ContentID] {
      let actions = try machine.send(.unitVerified(link, UnitID(content: photos[index], part: .whole)))
      return actions.batches.flatMap { $0.operations.map(\.content) }
    }
    #expect(try verify(0) == [photos[0]], "the first waits for nothing")
    try machine.fileAll()
    #expect(try verify(1).isEmpty)
    try machine.pass(.milliseconds(199))
    #expect(machine.take().batches.isEmpty)
    #expect(try verify(2).isEmpty)
    try machine.pass(.milliseconds(1))
    #expect(try Set(machine.fileAll().map(\.content)) == [photos[1], photos[2]])
    #expect(try verify(3) == [photos[3]], "one unit is not much")
  }

  /// Photos that are all renamed to one another are one batch, whose journal the catalog has to take. Long names, so that a
  /// few of them are many bytes.
  @Test func aBatchIsNoLargerThanItsJournalMayBe() throws {
    var settings = ReplicationSettings()
    settings.journalBytes = 40_000
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    let photos = (0..<60).map { content("photo \($0)") }
    let link = try machine.connect(has: photos)
    func name(_ index: Int) -> String { "\(index)/" + String(repeating: "long/", count: 400) + "x.jpg" }
    func entries(shift: Int) -> [Entry] {
      photos.indices.map { machine.entry(name(($0 + shift) % photos.count), photos[$0]) }
    }
    let (old, new) = (entries(shift: 0), entries(shift: 1))
    try machine.install(0, 1, old, over: link)
    for content in photos { try machine.send(.unitVerified(link, UnitID(content: content, part: .whole))) }
    var (batches, longest) = (0, 0)
    func measure() throws {
      batches += 1
      longest = max(longest, try machine.catalog.value(.filingJournal)?.count ?? 0)
    }
    try machine.fileAll(before: measure)
    var homes: [ContentID: [UInt8]] = [:]
    for content in photos { homes[content] = try machine.catalog.replicaFiles(of: content).first?.path }
    try machine.install(0, 2, new, removed: old, over: link)
    repeat { try machine.fileAll(before: measure) } while try machine.pass(.seconds(1)) > 0
    for (index, content) in photos.enumerated() {
      let files = try machine.catalog.replicaFiles(of: content)
      #expect(files.map(\.path) == [homes[photos[(index + 1) % photos.count]]])
      #expect(machine.isHeld(content))
    }
    #expect(longest > 0 && longest <= settings.journalBytes && batches > 10)
    #expect(try machine.catalog.unfiled(limit: 1).isEmpty)
  }

  @Test func contentsThatLieUnderEachOthersNames() throws {
    let new = content("new")
    try expectLinear { count in
      let (machine, link, names) = try holding(count, others: [new])
      let moved = (0..<count).map { machine.entry("old/\($0).xmp", many) }
      let came = (0..<count).map { machine.entry("\($0).xmp", new) }
      return try time {
        try machine.install(
          0, 2, machine.entries([new]) + moved + came, removed: names, added: moved + came, over: link)
        let done = try machine.fileAll()
        #expect(done.count >= 2 * count)
      }
    }
  }

  @Test func deletionsOfEqualFiles() throws {
    try expectLinear { count in
      let (machine, link, names) = try holding(count)
      let dropped = machine.dropped(many)
      try machine.install(0, 2, [dropped], removed: names, added: [dropped], over: link)
      try machine.fileAll()
      try machine.pass(.agentDay * 30 - .seconds(60))
      _ = machine.take()
      return try time {
        try machine.pass(.seconds(120))
        let batch = try #require(machine.take().batches.first)
        #expect(batch.operations.count == count)
        // It was cut off, and is there as before.
        try machine.restart()
        let again = try #require(try machine.send(.recovered).batches.first)
        try machine.send(
          .filed(again.id, batch.operations.map { .adopted(path: $0.path, machine.stamp(10)) }))
      }
    }
  }
}
