import MantelCore
import MantelReplication
import MantelSession
import MantelWire
import Testing

@testable import MantelAgent

@Suite struct SessionMappingTests {
  private let peer = MachineID(Digest256(1, 0, 0, 0))

  @Test(arguments: [false, true]) func aCloneReachesTheDecisions(byPeer: Bool) {
    let event = ReplicationEvent(
      .closing(.clone, message: "", byPeer: byPeer), link: LinkID(1), peer: peer, isDialer: true)
    guard case .cloneMet(peer, isTold: byPeer) = event else {
      Issue.record("\(String(describing: event))")
      return
    }
  }

  /// By the number of its own word alone. Fails where it must be sent, which it is not when it is known.
  @Test(arguments: [UInt64(0), 7]) func aHelloTellsWhetherItsSenderSaysItsWord(number: UInt64) {
    let other = MachineID(Digest256(2, 0, 0, 0))
    let hello = Hello(
      lowestVersion: 1, highestVersion: 1, features: 0, household: HouseholdID(Digest256(3, 0, 0, 0)),
      nonce: [], instance: [], time: WallTime(nanoseconds: 0), listeningPort: 0, rosterHash: .zero,
      holdingsCount: 0, holdingsRoot: .zero,
      members: [
        MemberState(machine: peer, head: .none, record: 1, attestation: number),
        MemberState(machine: other, head: .none, record: 1, attestation: 9),
      ])
    let event = ReplicationEvent(
      .opened(peer: hello, version: 1, features: 0), link: LinkID(1), peer: peer, isDialer: true)
    guard case .linkOpened(LinkID(1), let opening) = event else {
      Issue.record("\(String(describing: event))")
      return
    }
    #expect(opening.saysItsWord == (number > 0))
  }

  @Test func otherEndsAreOnlyEnds() {
    let event = ReplicationEvent(
      .closing(.timeout, message: "", byPeer: true), link: LinkID(1), peer: peer, isDialer: true)
    #expect(event == nil)
  }
}
