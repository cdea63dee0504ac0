import MantelCore
import Testing

@testable import MantelReplication

/// What a catalog forgets of itself with time.
@Suite struct HistoryTests {
  /// Daily, a slice an event, and in agent time: the wall clock says that all of this is old. Fails where a part is left out, or
  /// ends with its first slice (`purgeHistory`), or where wall time counts (`purgeBadFiles`).
  @Test func whatIsOverIsForgottenInSlices() throws {
    var settings = ReplicationSettings()
    settings.historyPage = 2
    settings.reportsKept = .seconds(216_000)
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    let healed = WallTime(nanoseconds: machine.now.wall.nanoseconds - (Duration.agentDay * 100).inNanoseconds)
    func report(_ number: Int) throws {
      let photo = content("photo \(number)")
      let file = ReplicaFile(
        library: machine.peers[0].machine, entry: EntryID(.zero), content: photo,
        path: bytes("\(number).jpg"),
        stamp: machine.stamp(10), verified: healed)
      try machine.catalog.condemn([BadFile(file, .vanished, found: healed)])
      try machine.catalog.markHealed([photo], at: healed)
      try machine.catalog.acknowledgeBadFiles()
    }
    for number in 0..<5 { try report(number) }
    try machine.catalog.noteRetired((0..<5).map { EntryID(content("entry \($0)").digest) }, at: .zero)

    try machine.pass(settings.retentionDelay)
    #expect(try machine.catalog.purgeRetirements(after: nil, limit: 1) != nil, "a slice")
    try machine.pass(.seconds(60))
    #expect(try machine.catalog.purgeRetirements(after: nil, limit: 1) == nil, "none is left")
    try machine.pass(.agentDay * 2)
    #expect(try machine.catalog.badFiles(after: nil, limit: 9).count == 5)
    try report(5)
    try machine.pass(.agentDay * 2)
    #expect(try machine.catalog.badFiles(after: nil, limit: 9).map(\.file.path) == [bytes("5.jpg")])

    // Days later its time is over too.
    try machine.pass(.agentDay * 3)
    #expect(try machine.catalog.badFiles(after: nil, limit: 9).isEmpty)
  }
}
