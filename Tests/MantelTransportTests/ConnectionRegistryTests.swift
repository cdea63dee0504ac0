import MantelCore
import MantelWire
import Testing

@testable import MantelTransport

@Suite struct ConnectionRegistryTests {
  private let small = MachineID(Digest256(1, 0, 0, 0))
  private let large = MachineID(Digest256(2, 0, 0, 0))

  private func session(_ number: UInt64) -> SessionID { SessionID(number: number) }

  private func candidate(
    _ number: UInt64, peer: MachineID, isDialer: Bool, nonce: UInt8 = 0, instance: UInt8 = 7
  ) -> ConnectionRegistry.Candidate {
    .init(
      session: session(number), peer: peer, isDialer: isDialer, diallerNonce: [nonce], instance: [instance])
  }

  private func contest(_ actions: [ConnectionRegistry.Action]) -> UInt64? {
    for case .await(_, let contest) in actions { return contest }
    return nil
  }

  @Test func theFirstConnectionIsShownAtOnce() {
    var registry = ConnectionRegistry(local: small, connectionsPerPeer: 4)
    #expect(registry.opened(candidate(1, peer: large, isDialer: true)) == [.release(session(1))])
    #expect(registry.ended(session(1)) == [])
    #expect(registry.opened(candidate(2, peer: large, isDialer: false)) == [.release(session(2))])
  }

  @Test(arguments: [true, false]) func bothSidesKeepTheOneDialledByTheSmaller(firstIsBySmaller: Bool) {
    var atSmall = ConnectionRegistry(local: small, connectionsPerPeer: 4)
    var atLarge = ConnectionRegistry(local: large, connectionsPerPeer: 4)
    // Connection 1 opens first at both; by whom it was dialled is the argument.
    _ = atSmall.opened(candidate(1, peer: large, isDialer: firstIsBySmaller))
    _ = atLarge.opened(candidate(1, peer: small, isDialer: !firstIsBySmaller))
    let probes = atSmall.opened(candidate(2, peer: large, isDialer: !firstIsBySmaller))
    _ = atLarge.opened(candidate(2, peer: small, isDialer: firstIsBySmaller))
    #expect(probes.prefix(2) == [.probe(session(1)), .probe(session(2))])
    let kept = session(firstIsBySmaller ? 1 : 2)
    let spare = session(firstIsBySmaller ? 2 : 1)
    #expect(atSmall.proved(spare) == [])
    #expect(atSmall.proved(kept) == [.close(spare, .duplicate)])
    #expect(atLarge.proved(kept) == [.close(spare, .duplicate)])
    // What was visible ends before its successor is shown.
    #expect(atSmall.ended(spare) == (firstIsBySmaller ? [] : [.release(kept)]))
  }

  @Test func aHalfOpenConnectionIsReplacedThoughItWouldBePreferred() throws {
    var registry = ConnectionRegistry(local: small, connectionsPerPeer: 4)
    _ = registry.opened(candidate(1, peer: large, isDialer: true))
    let actions = registry.opened(candidate(2, peer: large, isDialer: false))
    let number = try #require(contest(actions))
    #expect(registry.proved(session(2)) == [])
    #expect(registry.contestExpired(large, contest: number &+ 1) == [])
    #expect(registry.contestExpired(large, contest: number) == [.close(session(1), .duplicate)])
    #expect(registry.ended(session(1)) == [.release(session(2))])
  }

  @Test func theLastOneStaysWhenNobodyAnswers() throws {
    var registry = ConnectionRegistry(local: small, connectionsPerPeer: 4)
    _ = registry.opened(candidate(1, peer: large, isDialer: true))
    let number = try #require(contest(registry.opened(candidate(2, peer: large, isDialer: true, nonce: 1))))
    #expect(registry.contestExpired(large, contest: number) == [.close(session(1), .timeout)])
    #expect(registry.ended(session(1)) == [.release(session(2))])
  }

  @Test func theOtherOneIsShownWhenOneDiesDuringTheProbe() {
    var registry = ConnectionRegistry(local: small, connectionsPerPeer: 4)
    _ = registry.opened(candidate(1, peer: large, isDialer: true))
    _ = registry.opened(candidate(2, peer: large, isDialer: false))
    #expect(registry.ended(session(1)) == [.release(session(2))])
    #expect(registry.ended(session(2)) == [])
  }

  @Test func twoLivingInstancesAreAClone() {
    var registry = ConnectionRegistry(local: small, connectionsPerPeer: 4)
    _ = registry.opened(candidate(1, peer: large, isDialer: false, instance: 1))
    _ = registry.opened(candidate(2, peer: large, isDialer: false, instance: 2))
    #expect(registry.proved(session(1)) == [])
    #expect(registry.proved(session(2)) == [.close(session(1), .clone), .close(session(2), .clone)])
  }

  @Test func aRestartedPeerIsNoClone() throws {
    var registry = ConnectionRegistry(local: small, connectionsPerPeer: 4)
    _ = registry.opened(candidate(1, peer: large, isDialer: false, instance: 1))
    let actions = registry.opened(candidate(2, peer: large, isDialer: false, nonce: 1, instance: 2))
    let number = try #require(contest(actions))
    #expect(registry.proved(session(2)) == [])
    #expect(registry.contestExpired(large, contest: number) == [.close(session(1), .duplicate)])
  }

  /// Whatever the order of events, one working connection of several stays, and both sides agree which.
  @Test(arguments: 0..<200) func bothSidesAgreeInAnyOrder(seed: Int) throws {
    var generator = SplitMix(state: UInt64(seed))
    let count = Int.random(in: 2...4, using: &generator)
    let dialledBySmall = (0..<count).map { _ in Bool.random(using: &generator) }
    var sides = [
      ConnectionRegistry(local: small, connectionsPerPeer: 4),
      ConnectionRegistry(local: large, connectionsPerPeer: 4),
    ]
    var kept: [Set<SessionID>] = [[], []]
    for side in 0..<2 {
      var open: Set<SessionID> = []
      for number in Array(0..<count).shuffled(using: &generator) {
        let isDialer = dialledBySmall[number] == (side == 0)
        let opened = candidate(
          UInt64(number), peer: side == 0 ? large : small, isDialer: isDialer, nonce: UInt8(number))
        open.insert(opened.session)
        _ = sides[side].opened(opened)
      }
      for number in Array(0..<count).shuffled(using: &generator) {
        for case .close(let loser, _) in sides[side].proved(session(UInt64(number))) { open.remove(loser) }
      }
      kept[side] = open
    }
    #expect(kept[0].count == 1)
    #expect(kept[0] == kept[1])
  }

  @Test func aPeerHasFewConnections() {
    var registry = ConnectionRegistry(local: small, connectionsPerPeer: 2)
    _ = registry.opened(candidate(1, peer: large, isDialer: false))
    _ = registry.opened(candidate(2, peer: large, isDialer: false))
    #expect(registry.opened(candidate(3, peer: large, isDialer: false)) == [.close(session(3), .overLimit)])
    #expect(registry.ended(session(3)) == [])
  }
}

/// Deterministic random numbers of a seed.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
