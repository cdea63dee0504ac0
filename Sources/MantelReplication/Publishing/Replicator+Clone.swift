import MantelCore

extension Replicator {
  /// Two living copies of one machine met at a connection. Of whom, depends on who noticed: a peer that closes with
  /// *clone* speaks of this machine, and so does a connection to this machine's own key.
  ///
  /// Two copies that publish under one key would fork their library for ever. So both stop until they are started anew;
  /// if the other still runs then, they meet again. A peer that lies can bring this about: it is named, and can be removed.
  mutating func metClone(peer: MachineID, isTold: Bool) {
    guard isTold || peer == machine else {
      // Once: both copies come back again and again.
      if clonedPeers.insert(peer).inserted { actions.append(.warn(.clone(of: peer, toldBy: nil))) }
      return
    }
    guard publication.cloneToldBy == nil else { return }
    publication.cloneToldBy = peer
    actions.append(.warn(.clone(of: machine, toldBy: peer)))
  }
}
