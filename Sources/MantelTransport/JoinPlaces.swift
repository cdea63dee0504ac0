/// A newcomer's place, by a number that is given once.
struct JoinPlace: Hashable, Sendable {
  let number: UInt64
}

/// The few places for connections of newcomers, who have proved nothing but a key when they get one.
///
/// When all are taken, or all that one address may have, a newcomer gets that of the oldest connection which has not
/// proved the code: of its own address, else of the one that has most. So nobody who only holds places keeps the newcomer
/// out that knows the code; and who has proved it stays, however long its user thinks.
struct JoinPlaces<Connection> {
  private struct Guest {
    let place: JoinPlace
    let source: SourceKey
    let connection: Connection
    var hasProved = false
  }

  private let capacity: Int
  private let capacityPerAddress: Int
  /// Oldest first.
  private var guests: [Guest] = []
  private var lastNumber: UInt64 = 0

  init(capacity: Int, perAddress: Int) {
    self.capacity = capacity
    self.capacityPerAddress = perAddress
  }

  var count: Int { guests.count }
  var connections: [Connection] { guests.map(\.connection) }

  /// Nil when all places are kept by those who have proved the code.
  mutating func take(
    _ connection: Connection, source: SourceKey
  ) -> (place: JoinPlace, evicted: Connection?)? {
    var evicted: Connection?
    let isAddressFull = guests.count { $0.source == source } >= capacityPerAddress
    if isAddressFull || guests.count >= capacity {
      guard let loser = oldestUnproved(of: isAddressFull ? source : nil) else { return nil }
      evicted = guests.remove(at: loser).connection
    }
    lastNumber += 1
    let place = JoinPlace(number: lastNumber)
    guests.append(Guest(place: place, source: source, connection: connection))
    return (place, evicted)
  }

  /// Whose place it is, unless another has it by now.
  mutating func prove(_ place: JoinPlace) -> SourceKey? {
    guard let index = guests.firstIndex(where: { $0.place == place }) else { return nil }
    guests[index].hasProved = true
    return guests[index].source
  }

  /// Idempotent, also for an evicted one.
  mutating func leave(_ place: JoinPlace) { guests.removeAll { $0.place == place } }

  mutating func removeAll() { guests.removeAll() }

  /// Of this address, or of the one with most places among those that have one to lose.
  private func oldestUnproved(of source: SourceKey?) -> Int? {
    let unproved = guests.indices.filter {
      !guests[$0].hasProved && (source == nil || guests[$0].source == source)
    }
    func places(of index: Int) -> Int { guests.count { $0.source == guests[index].source } }
    return unproved.min { (places(of: $1), $0) < (places(of: $0), $1) }
  }
}
