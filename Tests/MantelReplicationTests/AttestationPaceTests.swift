import MantelCore
import Testing

@testable import MantelReplication

/// How often a machine signs what it holds: all others count anew by each word.
@Suite struct AttestationPaceTests {
  private let photos = (0..<3).map { content("photo \($0)") }

  /// Once a minute while something is lacking, at once when nothing is any more, and then once a day.
  @Test func aMinuteWhileSomethingIsLackingAndThenADay() throws {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let owner = machine.peers[0].machine
    let link = try machine.connect(has: photos)
    let entries = photos.enumerated().map { machine.entry("\($0.offset).jpg", $0.element) }
    try machine.install(0, 1, entries, over: link)
    func word() throws -> Attestation {
      try #require(machine.replicator.attesting.newest[machine.machine]?.record)
    }
    func lacking() throws -> UInt64? { try word().libraries.first { $0.library == owner }?.missingCount }
    func bring(_ content: ContentID) throws {
      try machine.send(.unitVerified(link, UnitID(content: content, part: .whole)))
      try machine.fileAll()
      #expect(machine.isHeld(content))
    }
    try machine.pass(.seconds(2))
    #expect(try lacking() == 3)
    try bring(photos[0])
    try machine.pass(.seconds(50))
    #expect(try lacking() == 3, "it is too soon")
    try machine.pass(.seconds(10))
    #expect(try lacking() == 2)
    for photo in photos.dropFirst() { try bring(photo) }
    try machine.pass(.seconds(1))
    #expect(try lacking() == 0)
    let last = try word()
    try machine.pass(.seconds(23 * 3_600), limit: 100_000)
    #expect(try word() == last, "it says it still")
    // The daily comparison of the replica may come first, which puts the next look off by a day.
    try machine.pass(.seconds(26 * 3_600), limit: 100_000)
    let next = try word()
    #expect(next.number > last.number && next.libraries == last.libraries)
  }
}
