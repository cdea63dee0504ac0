import DequeModule
import MantelCore

@testable import MantelReplication

/// Links with rates under a simulated household: every machine has an uplink and a downlink of so many bytes a second,
/// which its connections share in turns, as those of TCP do.
///
/// What a connection does with requests is the session's part: requests take turns by unit, and what is left to the
/// holder's choice is chosen when the connection has nothing else to send.
final class SimulatedNetwork {
  struct Rate {
    var up: Double
    var down: Double

    static func megabits(_ rate: Double) -> Rate { Rate(up: rate * 125_000, down: rate * 125_000) }
  }

  private enum Request {
    case unit(UnitOrder)
    case pull(LinkJob, [UnitOrder], count: Int, bytes: Int)
  }

  /// One direction of a connection.
  private struct Flow {
    let link: LinkID
    let server: Int
    let client: Int
    var requests: Deque<Request> = []
    var current: (order: UnitOrder, left: UInt64)?
    /// Pieces that were sent and have not arrived: a window.
    var onTheWay = 0
  }

  private struct FlowID: Hashable {
    let link: LinkID
    let client: Int
  }

  static let piece: UInt64 = 256 << 10
  private static let window = 2

  private unowned let household: SimulatedHousehold
  private let rates: [Rate]
  private var flows: [FlowID: Flow] = [:]
  /// Flows of each server, in the order of their turns.
  private var turns: [Deque<FlowID>]
  private var isSending: [Bool]
  private var arriving: [Deque<() throws -> Void>]
  private var isReceiving: [Bool]
  /// Bytes of files that each machine sent.
  private(set) var sent: [UInt64]

  init(_ household: SimulatedHousehold, rates: [Rate]) {
    self.household = household
    self.rates = rates
    turns = rates.map { _ in [] }
    isSending = rates.map { _ in false }
    arriving = rates.map { _ in [] }
    isReceiving = rates.map { _ in false }
    sent = rates.map { _ in 0 }
  }

  // MARK: Requests

  func fetch(_ orders: [UnitOrder], _ link: LinkID, at server: Int, for client: Int) throws {
    try add(orders.map { .unit($0) }, link, server, client)
  }

  func pull(
    _ job: LinkJob, _ orders: [UnitOrder], count: Int, bytes: Int, _ link: LinkID, at server: Int,
    for client: Int
  ) throws {
    try add([.pull(job, orders, count: count, bytes: bytes)], link, server, client)
  }

  /// What is not on its way yet is not sent any more.
  func cancel(_ units: [UnitID], _ link: LinkID, for client: Int) {
    let id = FlowID(link: link, client: client)
    flows[id]?.requests.removeAll { request in
      if case .unit(let order) = request { units.contains(order.unit) } else { false }
    }
    if let current = flows[id]?.current, units.contains(current.order.unit) { flows[id]?.current = nil }
  }

  private func add(_ requests: [Request], _ link: LinkID, _ server: Int, _ client: Int) throws {
    let id = FlowID(link: link, client: client)
    if flows[id] == nil {
      flows[id] = Flow(link: link, server: server, client: client)
      turns[server].append(id)
    }
    flows[id]?.requests += requests
    try send(server)
  }

  // MARK: The uplink

  private func send(_ server: Int) throws {
    guard !isSending[server] else { return }
    for _ in turns[server].indices {
      let id = turns[server].removeFirst()
      turns[server].append(id)
      guard flows[id]?.onTheWay ?? Self.window < Self.window, let (order, bytes) = try nextPiece(of: id)
      else { continue }
      isSending[server] = true
      flows[id]?.onTheWay += 1
      sent[server] += bytes
      let isLast = flows[id]?.current == nil
      household.schedule(at: household.now.instant + Self.time(bytes, rates[server].up)) { [self] in
        isSending[server] = false
        try arrive(bytes, of: order, isLast: isLast, id)
        try send(server)
      }
      return
    }
  }

  private func nextPiece(of id: FlowID) throws -> (UnitOrder, UInt64)? {
    if flows[id]?.current == nil { try begin(id) }
    guard var current = flows[id]?.current else { return nil }
    let bytes = min(Self.piece, current.left)
    current.left -= bytes
    flows[id]?.current = current.left > 0 ? current : nil
    return (current.order, bytes)
  }

  private func begin(_ id: FlowID) throws {
    guard let flow = flows[id] else { return }
    while let request = flows[id]?.requests.popFirst() {
      switch request {
      case .unit(let order):
        flows[id]?.current = (order, order.bytes)
        return
      case .pull(let job, let orders, let count, let bytes):
        let chosen =
          count > 0 && bytes > 0
          ? household.machines[flow.server].ask {
            $0.choose(orders.map(\.unit), count: 1, for: flow.link)
          }.first : nil
        guard let order = orders.first(where: { $0.unit == chosen }) else {
          household.finish(job, .complete, flow.link, for: flow.client)
          continue
        }
        flows[id]?.current = (order, order.bytes)
        flows[id]?.requests.append(
          .pull(
            job, orders.filter { $0.unit != order.unit }, count: count - 1, bytes: bytes - Int(order.bytes)))
        household.tell(.unitChosen(flow.link, job, order.unit), flow.link, to: flow.client)
        return
      }
    }
  }

  // MARK: The downlink

  private func arrive(_ bytes: UInt64, of order: UnitOrder, isLast: Bool, _ id: FlowID) throws {
    guard let client = flows[id]?.client, let link = flows[id]?.link, let server = flows[id]?.server else {
      return
    }
    arriving[client].append { [self] in
      household.schedule(at: household.now.instant + Self.time(bytes, rates[client].down)) { [self] in
        isReceiving[client] = false
        flows[id]?.onTheWay -= 1
        if isLast { household.arrived(order, link, at: client, from: server) }
        try receive(client)
        try send(server)
      }
    }
    try receive(client)
  }

  private func receive(_ client: Int) throws {
    guard !isReceiving[client], let next = arriving[client].popFirst() else { return }
    isReceiving[client] = true
    try next()
  }

  private static func time(_ bytes: UInt64, _ rate: Double) -> Duration {
    .nanoseconds(Int64(Double(bytes) / rate * 1_000_000_000))
  }
}
