import MantelCore
import MantelSession
import MantelWire
import Testing

@Suite struct GreetingTests {
  static let members = [
    MemberState(machine: Fixture.alice, head: Fixture.order(4), record: 2, attestation: 9),
    MemberState(machine: Fixture.bob, head: Fixture.order(7), record: 1, attestation: 3),
  ]

  /// Both know everything: news of that age must not be sent again.
  static func equalConfiguration(_ local: MachineID, peer: MachineID, nonce: UInt8) -> SessionConfiguration {
    var configuration = Fixture.configuration(
      local, peer: peer, hello: Fixture.hello(nonce: nonce, members: members))
    configuration.records = [Fixture.record(Fixture.alice, 2), Fixture.record(Fixture.bob, 1)]
    configuration.heads = [Fixture.head(Fixture.alice, 4), Fixture.head(Fixture.bob, 7)]
    configuration.attestations = [Fixture.attestation(Fixture.alice, 9), Fixture.attestation(Fixture.bob, 3)]
    configuration.roster = [[1, 2, 3]]
    return configuration
  }

  @Test func nothingNewCostsOneHelloEachWay() throws {
    let pair = SessionPair(
      Self.equalConfiguration(Fixture.alice, peer: Fixture.bob, nonce: 1),
      Self.equalConfiguration(Fixture.bob, peer: Fixture.alice, nonce: 2))
    try pair.run()
    #expect(pair.alice.session.snapshot.state == .open(version: 1))
    #expect(pair.bob.session.snapshot.state == .open(version: 1))
    #expect(pair.alice.session.snapshot.counters.framesSent == 1)
    #expect(pair.bob.session.snapshot.counters.framesSent == 1)
    #expect(pair.alice.sentBytes <= 1_024 && pair.bob.sentBytes <= 1_024)
    #expect(
      pair.alice.events == [
        .opened(peer: Fixture.hello(nonce: 2, members: Self.members), version: 1, features: 0)
      ])
  }

  @Test func twentyMachinesCostAtMostFiveKilobytes() throws {
    let members = (0..<20).map { number in
      MemberState(
        machine: MachineID(Digest256(UInt64(number), 0, 0, 1)), head: Fixture.order(1), record: 1,
        attestation: 1)
    }
    let pair = SessionPair(
      Fixture.configuration(
        Fixture.alice, peer: Fixture.bob, hello: Fixture.hello(nonce: 1, members: members)),
      Fixture.configuration(
        Fixture.bob, peer: Fixture.alice, hello: Fixture.hello(nonce: 2, members: members)))
    try pair.run()
    #expect(pair.alice.sentBytes <= 5_120 && pair.bob.sentBytes <= 5_120)
  }

  @Test func theHighestCommonVersionAndFeaturesAreUsed() throws {
    var ours = Fixture.hello(nonce: 1, features: Feature.lateBinding | Feature.forgetRequests)
    ours.highestVersion = 3
    var theirs = Fixture.hello(nonce: 2, features: Feature.challenges | Feature.forgetRequests)
    theirs.highestVersion = 2
    let pair = SessionPair(
      Fixture.configuration(Fixture.alice, peer: Fixture.bob, hello: ours),
      Fixture.configuration(Fixture.bob, peer: Fixture.alice, hello: theirs))
    try pair.run()
    #expect(pair.alice.events == [.opened(peer: theirs, version: 2, features: Feature.forgetRequests)])
    #expect(pair.bob.events == [.opened(peer: ours, version: 2, features: Feature.forgetRequests)])
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var code: CloseCode
    var peer = Fixture.bob
    var change: @Sendable (inout Hello) -> Void
  }

  static let refusals: [Refusal] = [
    Refusal(testDescription: "other household", code: .otherHousehold) {
      $0.household = HouseholdID(Digest256(2, 2, 2, 2))
    },
    Refusal(testDescription: "only newer versions", code: .incompatibleVersion) {
      $0.lowestVersion = 2
      $0.highestVersion = 3
    },
    Refusal(testDescription: "empty version range", code: .protocolError) { $0.lowestVersion = 2 },
    Refusal(testDescription: "our own nonce", code: .protocolError) {
      $0.nonce = Fixture.hello(nonce: 1).nonce
    },
    Refusal(testDescription: "a machine twice", code: .protocolError) {
      $0.members = [GreetingTests.members[0], GreetingTests.members[0]]
    },
    Refusal(testDescription: "dialled itself", code: .duplicate, peer: Fixture.alice) {
      $0.instance = Fixture.hello(nonce: 1).instance
    },
    Refusal(testDescription: "a clone", code: .clone, peer: Fixture.alice) { _ in },
  ]

  @Test(arguments: refusals) func aWrongHelloCloses(_ refusal: Refusal) {
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: refusal.peer))
    side.command(.fetch([UnitFetch(unit: Fixture.unit(1), bytes: 5)]), now: Fixture.start)
    side.drain()
    var hello = Fixture.hello(nonce: 2)
    refusal.change(&hello)
    side.session.received(.hello(hello), now: Fixture.start)
    side.drain()
    #expect(side.closing?.0 == refusal.code)
    #expect(side.isClosed)
    #expect(side.tally.ends == [Fixture.unit(1): .cancelled])
    #expect(side.session.snapshot.counters.framesSent == 2, "our hello and CLOSE")
  }
}
