import MantelCore
import MantelReplication
import MantelSession
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

  @Test func otherEndsAreOnlyEnds() {
    let event = ReplicationEvent(
      .closing(.timeout, message: "", byPeer: true), link: LinkID(1), peer: peer, isDialer: true)
    #expect(event == nil)
  }
}
