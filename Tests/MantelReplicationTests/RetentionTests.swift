import MantelCore
import Testing

@testable import MantelReplication

/// What the own library keeps of files that were replaced.
@Suite struct RetentionTests {
  private let day: Duration = .agentDay

  private func version(
    _ number: Int, _ kind: EntryKind, notedDays: Int?, since: Int64 = 1, isFirst: Bool = false
  ) -> RetiredEntry {
    let entry = Entry(
      folder: SingleMachine.folderID, path: bytes("a"), content: content("\(number)"), size: 1, mtime: 1,
      kind: kind, state: .retired(.replaced, at: WallTime(nanoseconds: Int64(number))), manifest: nil)
    return RetiredEntry(
      id: EntryID(entry.content.digest), entry: entry,
      noted: notedDays.map { AgentTime.zero + .agentDay * $0 }, since: since, isFirst: isFirst)
  }

  private func expired(_ versions: [RetiredEntry], _ rules: KeepRules = KeepRules(), day: Int) -> [ContentID]
  {
    rules.expired(versions, at: .zero + .agentDay * day).map(\.entry.content)
  }

  @Test func photosAreKeptForEver() {
    for kind in [EntryKind.photo, .raw, .video] {
      let versions = (0..<30).map { version($0, kind, notedDays: 0) }
      #expect(expired(versions, day: 10_000).isEmpty)
    }
  }

  @Test(arguments: [EntryKind.sidecar, .other]) func sidecarsAreKeptForNinetyDays(kind: EntryKind) {
    let versions = [version(1, kind, notedDays: 5), version(2, kind, notedDays: 6)]
    #expect(expired(versions, day: 94).isEmpty)
    #expect(expired(versions, day: 95) == [content("1")])
    #expect(expired([version(1, kind, notedDays: nil)], day: 1_000).isEmpty)
  }

  @Test func tenVersionsOfASidecarAreKept() {
    let versions = (0..<12).map { version($0, .sidecar, notedDays: 3) }.shuffled()
    #expect(Set(expired(versions, day: 4)) == [content("0"), content("1")])
  }

  /// A machine without a clock's battery, or one that was ahead for a day.
  @Test func aWrongClockDoesNotChangeTheOrderOfVersions() {
    // Numbers are wall times: the last head replaced what says to be the oldest.
    var versions = (1...10).map { version($0, .sidecar, notedDays: 3, since: Int64($0)) }
    versions.append(version(0, .sidecar, notedDays: 3, since: 11))
    #expect(expired(versions, day: 4) == [content("1")])
    // Nor does anything go by its number that nobody has noted.
    versions[0].noted = nil
    #expect(expired(versions, day: 4).isEmpty)
  }

  /// Edited, taken back, and edited again: the camera's version was replaced last.
  @Test func theOriginalIsKnownByItsContentNotByItsPlace() {
    var rules = KeepRules()
    rules[.photo] = KeepRules.Rule(days: 30)
    let versions = [
      version(1, .photo, notedDays: 0, since: 2),
      version(2, .photo, notedDays: 0, since: 5, isFirst: true),
    ]
    #expect(expired(versions, rules, day: 40) == [content("1")])
  }

  @Test func theFirstVersionOfAPhotoNeverExpiresByTime() {
    var rules = KeepRules()
    rules[.photo] = KeepRules.Rule(days: 30)
    let versions = [version(1, .photo, notedDays: 0), version(2, .photo, notedDays: 0)]
    #expect(expired(versions, rules, day: 30) == [content("2")])
    rules[.photo] = KeepRules.Rule(days: 30, versions: 1)
    #expect(Set(expired(versions, rules, day: 30)) == [content("1"), content("2")])
    rules[.photo] = .forEver
    #expect(rules == KeepRules())
  }

  // MARK: In the library

  private func replaced(_ times: Int, settings: ReplicationSettings = ReplicationSettings()) throws
    -> SingleMachine
  {
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    for number in 0...times {
      let bytes = content("version \(number)")
      try machine.publish("a.xmp", bytes, machine.stamp(1, mtime: SingleMachine.oldTime + Int64(number)))
      // Somebody has it, so that it is kept.
      try machine.send(.linkClosed(try machine.connect(has: [bytes])))
      try machine.pass(day)
    }
    return machine
  }

  private func states(_ numbers: Range<Int>, on machine: SingleMachine) throws -> [Bool] {
    try numbers.map { try machine.ownEntries(of: content("version \($0)")).first?.state.isRetired == true }
  }

  @Test func theOwnerDropsWhatExpires() throws {
    let machine = try replaced(2)
    #expect(try states(0..<2, on: machine) == [true, true])
    try machine.pass(day * 87)
    #expect(try states(0..<2, on: machine) == [true, true])
    try machine.pass(day * 2)
    #expect(try states(0..<2, on: machine) == [false, true])
    #expect(try machine.catalog.droppedEntries(machine.machine, of: content("version 0")).count == 1)
    #expect(try machine.catalog.forgotten(after: nil, limit: 9).isEmpty)
    try machine.pass(day * 2)
    #expect(try states(0..<2, on: machine) == [false, false])
    // The same bytes again are a file like any other.
    try machine.publish("a.xmp", content("version 0"), machine.stamp(1, mtime: SingleMachine.oldTime + 50))
    #expect(try machine.ownEntries(of: content("version 0")).map(\.state) == [.live])
    #expect(try machine.catalog.droppedEntries(machine.machine, of: content("version 0")).isEmpty)
  }

  /// What expired is not what somebody forgot, whatever the rules say by now.
  @Test func anExpiredVersionThatComesBackIsBackedUpUnderNewRulesToo() throws {
    let machine = try replaced(1)
    try machine.pass(day * 91)
    #expect(try states(0..<1, on: machine) == [false])
    machine.settings.keep[.sidecar] = .forEver
    try machine.restart()
    try machine.send(.recovered)
    try machine.publish("a.xmp", content("version 0"), machine.stamp(1, mtime: SingleMachine.oldTime + 50))
    #expect(try machine.status("a.xmp") == .published)
    #expect(try machine.ownEntries(of: content("version 0")).map(\.state) == [.live])
  }

  @Test func theOriginalOfAPhotoIsRememberedWhenItWasThereAgain() throws {
    var settings = ReplicationSettings()
    settings.keep[.photo] = KeepRules.Rule(days: 10)
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    let (original, edited, last) = (content("original"), content("edited"), content("last"))
    for (number, bytes) in [original, edited, original, last].enumerated() {
      try machine.publish("a.jpg", bytes, machine.stamp(1, mtime: SingleMachine.oldTime + Int64(number)))
      try machine.send(.linkClosed(try machine.connect(has: [bytes])))
      try machine.pass(day)
    }
    try machine.pass(day * 12)
    #expect(try machine.ownEntries(of: original).map(\.state.isRetired) == [true])
    #expect(try machine.ownEntries(of: edited).isEmpty)
  }

  @Test func aRestartForgetsNoDays() throws {
    let machine = try replaced(1)
    try machine.pass(day * 60)
    try machine.restart()
    try machine.send(.recovered)
    try machine.pass(day * 31)
    #expect(try states(0..<1, on: machine) == [false])
  }

  @Test func nobodyIsEverAskedAboutExpiry() throws {
    var settings = ReplicationSettings()
    settings.keep[.sidecar] = KeepRules.Rule(versions: 0)
    settings.retentionPage = 3
    let machine = try replaced(8, settings: settings)
    // Half of the ten that go without a question in a month.
    #expect(try states(0..<8, on: machine).count(where: { !$0 }) == 5)
    try machine.pass(day * 40)
    #expect(try states(0..<8, on: machine).allSatisfy { !$0 })
  }
}
