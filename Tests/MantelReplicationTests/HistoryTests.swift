import MantelCore
import Testing

@testable import MantelReplication

/// What a catalog forgets of itself with time.
@Suite struct HistoryTests {
  /// Daily, a slice an event. Fails where a part is left out, or ends with its first slice (`purgeHistory`).
  @Test func whatIsOverIsForgottenInSlices() throws {
    var settings = ReplicationSettings()
    settings.historyPage = 2
    let machine = try SingleMachine(settings: settings)
    try machine.send(.recovered)
    func before(_ age: Duration) -> WallTime {
      WallTime(nanoseconds: machine.now.wall.nanoseconds - age.inNanoseconds)
    }
    func report(_ number: Int, healed: WallTime) throws {
      let photo = content("photo \(number)")
      let file = ReplicaFile(
        library: machine.peers[0].machine, entry: EntryID(.zero), content: photo,
        path: bytes("\(number).jpg"),
        stamp: machine.stamp(10), verified: healed)
      try machine.catalog.condemn([BadFile(file, .vanished, found: healed)])
      try machine.catalog.markHealed([photo], at: healed)
    }
    for number in 0..<5 { try report(number, healed: before(settings.reportsKept + .agentDay)) }
    try report(5, healed: before(settings.reportsKept - .seconds(43_200)))
    try machine.catalog.acknowledgeBadFiles()
    try machine.catalog.noteRetired((0..<5).map { EntryID(content("entry \($0)").digest) }, at: .zero)

    try machine.pass(settings.retentionDelay)
    #expect(try machine.catalog.badFiles(after: nil, limit: 9).count == 4, "a slice")
    try machine.pass(.seconds(60))
    #expect(try machine.catalog.badFiles(after: nil, limit: 9).map(\.file.path) == [bytes("5.jpg")])
    #expect(try machine.catalog.purgeRetirements(after: nil, limit: 1) == nil, "none is left")

    // A day later its time is over too.
    try machine.pass(.agentDay * 2)
    #expect(try machine.catalog.badFiles(after: nil, limit: 9).isEmpty)
  }
}
