import MantelCore
import MantelWire
import NIOCore

/// The GETs of the peer, its PULL_ANYs, and the reads that run ahead of sending.
///
/// GETs take turns by unit, in the order of `gets`: the one that sent a unit goes to the end, and one that waits for
/// the store is passed over. All of them share one budget of bytes and reads. Units that are not next in their GET
/// may not use the reserve of it, so that a unit whose turn it is can always be read.
struct UnitReading {
  /// What a read belongs to.
  struct Ticket: Hashable {
    var serial: UInt64
    var place: Int
    var asked: Int
  }

  /// What a choice belongs to.
  struct ChoiceTicket: Hashable { var serial: UInt64 }

  struct Choice {
    var ticket: ChoiceTicket
    var offers: [UnitID]
    var count: Int
  }

  struct Read: Hashable {
    var ticket: Ticket
    var unit: UnitID
    var offset: UInt64
  }

  private let limits: SessionLimits
  /// An array, of a few: a deque hands out a copy of the whole GET for each look at one of its fields.
  private var gets: [ServedGet] = []
  private var serials: UInt64 = 0
  private(set) var readsInFlight = 0
  /// Bytes asked for or buffered, of all units, and of those that are not next in their GET.
  private(set) var heldBytes = 0
  private var aheadBytes = 0

  init(limits: SessionLimits) { self.limits = limits }

  mutating func add(_ id: RequestID, _ units: [UnitID]) {
    serials += 1
    for position in gets.indices { gets[position].withdraw(Set(units)) }
    gets.append(ServedGet(id: id, serial: serials, units: units))
  }

  mutating func add(_ id: RequestID, _ pull: ServedPull) {
    serials += 1
    var pull = pull
    for get in gets where !get.isCancelled { pull.withdraw(Set(get.units)) }
    gets.append(ServedGet(id: id, serial: serials, units: [], pull: pull))
  }

  // MARK: Choosing

  /// The next choice to ask for; nil while none is needed.
  mutating func nextChoice() -> Choice? {
    for position in gets.indices {
      guard let count = gets[position].nextChoice(limits), let pull = gets[position].pull else { continue }
      return Choice(
        ticket: ChoiceTicket(serial: gets[position].serial), offers: pull.offers, count: count)
    }
    return nil
  }

  mutating func chose(_ ticket: ChoiceTicket, _ units: [UnitID]) {
    guard let position = gets.firstIndex(where: { $0.serial == ticket.serial }) else { return }
    let added = Set(gets[position].chose(units))
    // What one request brings, no other of this peer has to.
    for other in gets.indices where other != position { gets[other].withdraw(added) }
  }

  mutating func refusedChoice(_ ticket: ChoiceTicket, _ outcome: Outcome) {
    guard let position = gets.firstIndex(where: { $0.serial == ticket.serial }) else { return }
    gets[position].refusedChoice(outcome)
  }

  // MARK: Reading

  /// Nothing of the GET is read or sent any more but its DONE. Reads that are out keep their part of the budget.
  mutating func cancel(_ id: RequestID) {
    guard let position = gets.firstIndex(where: { $0.id == id }), !gets[position].isCancelled else { return }
    end(position, .cancelled)
  }

  private mutating func end(_ position: Int, _ outcome: Outcome) {
    let (buffered, ahead) = gets[position].cancel(outcome)
    heldBytes -= buffered
    aheadBytes -= ahead
  }

  /// The next read to ask for; nil when the budget is used up or everything is asked for.
  mutating func nextRead() -> Read? {
    guard readsInFlight < limits.readsInFlight else { return nil }
    let free = limits.readAheadBytes - heldBytes
    for position in gets.indices where !gets[position].isCancelled && gets[position].isStarved {
      let place = gets[position].place
      let wanted = gets[position].readSize(at: place, limits)
      guard free >= min(wanted, limits.dataBytes) else { return nil }
      return start(position, place, min(wanted, free))
    }
    // The GET with the fewest units under way comes first: breadth before depth.
    let order = gets.indices.filter { !gets[$0].isCancelled }.sorted {
      (gets[$0].reading.count, $0) < (gets[$1].reading.count, $1)
    }
    for position in order {
      guard let place = gets[position].nextUnread() else { continue }
      let wanted = gets[position].readSize(at: place, limits)
      let isNext = place == gets[position].place
      guard wanted <= free,
        isNext || aheadBytes + wanted <= limits.readAheadBytes - limits.headReserveBytes
      else { continue }
      return start(position, place, wanted)
    }
    return nil
  }

  private mutating func start(_ position: Int, _ place: Int, _ count: Int) -> Read {
    readsInFlight += 1
    heldBytes += count
    if place > gets[position].place { aheadBytes += count }
    let offset = gets[position].startRead(at: place, count)
    return Read(
      ticket: Ticket(serial: gets[position].serial, place: place, asked: count),
      unit: gets[position].units[place], offset: offset)
  }

  mutating func answered(_ ticket: Ticket, _ buffer: ByteBuffer, unitBytes: UInt64) {
    finish(ticket) { $0.read(buffer, unitBytes: unitBytes, asked: ticket.asked) }
  }

  mutating func refused(_ ticket: Ticket, _ outcome: Outcome) {
    finish(ticket) { $0.fail(outcome) }
  }

  private mutating func finish(_ ticket: Ticket, _ body: (inout ServedUnit) -> Void) {
    readsInFlight -= 1
    guard let position = gets.firstIndex(where: { $0.serial == ticket.serial }), !gets[position].isCancelled
    else {
      // Cancelled meanwhile: only the reservation was left.
      heldBytes -= ticket.asked
      return
    }
    let growth = gets[position].change(at: ticket.place, body)
    heldBytes += growth
    if ticket.place > gets[position].place { aheadBytes += growth }
  }

  /// The next frame; nil when all GETs wait for the store or there are none.
  mutating func nextFrame() -> Frame? {
    for position in gets.indices {
      if gets[position].isOverdrawn { end(position, .complete) }
      guard let (frame, endsUnit) = gets[position].nextFrame(dataBytes: limits.dataBytes) else { continue }
      switch frame {
      case .data(_, _, let bytes): heldBytes -= bytes.readableBytes
      case .done: gets.remove(at: position)
      default:
        guard endsUnit else { break }
        // The unit behind it is next now, and what it holds is not ahead any more.
        if let next = gets[position].reading.first { aheadBytes -= next.footprint }
        gets.append(gets.remove(at: position))
      }
      return frame
    }
    return nil
  }
}
