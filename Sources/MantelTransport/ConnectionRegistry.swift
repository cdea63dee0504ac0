import MantelCore
import MantelWire

/// Decides which of several connections between two machines is kept.
///
/// Both machines must come to the same answer with what both know, and the only working connection must never be
/// closed. So when a second connection has exchanged HELLOs, every candidate is asked to prove (by a pong) that it is
/// alive, and the first in one fixed order among the living stays: dialled by the smaller machine id, then the smaller
/// nonce of the dialler. A half-open connection cannot answer and is replaced. Two runs of one machine that both answer
/// are a clone. One connection of a machine at a time is *visible*; a successor becomes so when it has ended.
struct ConnectionRegistry: Sendable {
  struct Candidate: Equatable, Sendable {
    var session: SessionID
    var peer: MachineID
    /// Whether this machine dialled.
    var isDialer: Bool
    /// HELLO's nonce of the side that dialled.
    var diallerNonce: [UInt8]
    /// HELLO's instance of the peer.
    var instance: [UInt8]
  }

  enum Action: Equatable, Sendable {
    /// The environment may see this session.
    case release(SessionID)
    /// Ping it, and report `proved` when it answers.
    case probe(SessionID)
    case close(SessionID, CloseCode)
    /// Call `contestExpired` with this number after the time that a probe may take.
    case await(MachineID, contest: UInt64)
  }

  private struct Contest: Sendable {
    var number: UInt64
    var alive: Set<SessionID> = []
  }

  private struct Peer: Sendable {
    /// In the order in which they opened; without those that were told to close.
    var candidates: [Candidate] = []
    var visible: SessionID?
    var contest: Contest?
  }

  private let local: MachineID
  private let capacity: Int
  private var peers: [MachineID: Peer] = [:]
  private var owners: [SessionID: MachineID] = [:]
  private var lastContest: UInt64 = 0

  init(local: MachineID, connectionsPerPeer: Int) {
    self.local = local
    self.capacity = connectionsPerPeer
  }

  /// Whether the environment sees a session with this machine.
  func shows(_ machine: MachineID) -> Bool { peers[machine]?.visible != nil }

  /// HELLOs were exchanged on a connection.
  mutating func opened(_ candidate: Candidate) -> [Action] {
    var peer = peers[candidate.peer] ?? Peer()
    defer { peers[candidate.peer] = peer }
    guard peer.candidates.count < capacity else { return [.close(candidate.session, .overLimit)] }
    peer.candidates.append(candidate)
    owners[candidate.session] = candidate.peer
    guard peer.candidates.count > 1 else { return settle(&peer) }
    lastContest += 1
    peer.contest = Contest(number: lastContest)
    return peer.candidates.map { .probe($0.session) } + [.await(candidate.peer, contest: lastContest)]
  }

  /// A connection answered a ping.
  mutating func proved(_ session: SessionID) -> [Action] {
    guard let machine = owners[session], var peer = peers[machine], peer.contest != nil else { return [] }
    defer { peers[machine] = peer }
    peer.contest?.alive.insert(session)
    return judge(&peer, isFinal: false)
  }

  mutating func contestExpired(_ machine: MachineID, contest: UInt64) -> [Action] {
    guard var peer = peers[machine], peer.contest?.number == contest else { return [] }
    defer { peers[machine] = peer }
    return judge(&peer, isFinal: true)
  }

  /// The session ended and the environment was told so. Harmless for one that never opened.
  mutating func ended(_ session: SessionID) -> [Action] {
    guard let machine = owners.removeValue(forKey: session), var peer = peers[machine] else { return [] }
    peer.candidates.removeAll { $0.session == session }
    peer.contest?.alive.remove(session)
    if peer.visible == session { peer.visible = nil }
    var actions: [Action] = []
    if peer.contest != nil {
      actions = peer.candidates.count > 1 ? judge(&peer, isFinal: false) : conclude(&peer, winner: nil)
    } else {
      actions = settle(&peer)
    }
    peers[machine] = peer.candidates.isEmpty && peer.visible == nil ? nil : peer
    return actions
  }

  private func judge(_ peer: inout Peer, isFinal: Bool) -> [Action] {
    guard let alive = peer.contest?.alive else { return [] }
    let everyoneAnswered = peer.candidates.allSatisfy { alive.contains($0.session) }
    let isOneInstance = Set(peer.candidates.map(\.instance)).count <= 1
    let living = peer.candidates.filter { alive.contains($0.session) }
    if isOneInstance {
      guard let preferred = peer.candidates.min(by: precedes) else { return [] }
      if alive.contains(preferred.session) { return conclude(&peer, winner: preferred) }
    }
    guard isFinal || everyoneAnswered else { return [] }
    if Set(living.map(\.instance)).count > 1 {
      let closed = peer.candidates
      peer.candidates = []
      peer.contest = nil
      return closed.map { .close($0.session, alive.contains($0.session) ? .clone : .timeout) }
    }
    // Nobody answered in time: the newest has at least just sent its HELLO.
    return conclude(&peer, winner: living.min(by: precedes) ?? peer.candidates.last)
  }

  /// Ends the contest: all but the winner are closed. Without a winner there is at most one candidate left.
  private func conclude(_ peer: inout Peer, winner: Candidate?) -> [Action] {
    var actions: [Action] = []
    if let winner {
      for loser in peer.candidates where loser.session != winner.session {
        // When the winner is alive, the others are spare; else it was their silence that lost.
        let isSpare = peer.contest?.alive.contains(winner.session) ?? false
        actions.append(.close(loser.session, isSpare ? .duplicate : .timeout))
      }
      peer.candidates = [winner]
    }
    peer.contest = nil
    return actions + settle(&peer)
  }

  /// Shows the only candidate, once no other session of the machine is visible any more.
  private func settle(_ peer: inout Peer) -> [Action] {
    guard peer.contest == nil, peer.visible == nil, let only = peer.candidates.first else { return [] }
    peer.visible = only.session
    return [.release(only.session)]
  }

  private func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
    let leftDialler = left.isDialer ? local : left.peer
    let rightDialler = right.isDialer ? local : right.peer
    if leftDialler != rightDialler { return leftDialler < rightDialler }
    return left.diallerNonce.lexicographicallyPrecedes(right.diallerNonce)
  }
}
