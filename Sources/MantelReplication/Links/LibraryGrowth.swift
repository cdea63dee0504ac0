import MantelCore

/// How many entries a library may gain within a day of agent time before somebody on this machine has to confirm.
struct GrowthLimit: Hashable, Sendable {
  var entries: UInt64
  var window: Duration
}

/// What a library gained within the last day, and what somebody on this machine accepted.
///
/// Growth is what the numbers of entries of two heads differ by: what is moved, deleted or replaced is none. What a later head
/// takes away does not count against it.
struct LibraryGrowth: Hashable, Sendable {
  private static let hour: Int64 = 3_600_000_000_000

  struct Hour: Hashable, Sendable {
    /// Whole hours of agent time before it.
    var number: Int64
    var entries: UInt64
  }

  /// The newest head when somebody accepted it.
  struct Accepted: Hashable, Sendable {
    var order: HeadOrder
    var entries: UInt64
  }

  /// Ascending, without repeats.
  var hours: [Hour] = []
  /// Until that head, or a newer one, is installed: what it has is no growth.
  var accepted: Accepted?

  var isEmpty: Bool { hours.isEmpty && accepted == nil }

  /// What a head would bring the growth of a day to.
  func entries(with head: Head, over installed: UInt64, at now: AgentTime, _ limit: GrowthLimit) -> UInt64 {
    let first = Self.first(at: now, limit)
    return hours.filter { $0.number >= first }.reduce(growth(of: head, over: installed)) { $0 + $1.entries }
  }

  mutating func accept(_ head: Head) {
    hours = []
    accepted = Accepted(order: head.order, entries: head.counts.entries)
  }

  mutating func installed(_ head: Head, over installed: UInt64, at now: AgentTime, _ limit: GrowthLimit) {
    let first = Self.first(at: now, limit)
    hours.removeAll { $0.number < first }
    let entries = growth(of: head, over: installed)
    if let accepted, head.order >= accepted.order { self.accepted = nil }
    guard entries > 0 else { return }
    let number = now.nanoseconds / Self.hour
    if let last = hours.indices.last, hours[last].number == number {
      hours[last].entries += entries
    } else {
      hours.append(Hour(number: number, entries: entries))
    }
  }

  private func growth(of head: Head, over installed: UInt64) -> UInt64 {
    let before = max(installed, accepted?.entries ?? 0)
    return head.counts.entries > before ? head.counts.entries - before : 0
  }

  /// An hour counts to its end: the window is up to an hour longer, never shorter.
  private static func first(at now: AgentTime, _ limit: GrowthLimit) -> Int64 {
    (now.nanoseconds - limit.window.inNanoseconds) / hour
  }
}

/// All libraries' growth as the catalog keeps it, in one value:
/// library 32 | hours u16, each number i64, entries u64 | accepted u8, if it is 1: epoch u64, sequence u64, entries u64.
extension LibraryGrowth {
  static func bytes(of growth: [MachineID: LibraryGrowth]) -> [UInt8] {
    var writer = CanonicalWriter()
    for (library, growth) in growth.sorted(by: { $0.key < $1.key }) {
      writer.write(library)
      writer.write(UInt16(clamping: growth.hours.count))
      for hour in growth.hours {
        writer.write(hour.number)
        writer.write(hour.entries)
      }
      writer.write(UInt8(growth.accepted == nil ? 0 : 1))
      if let accepted = growth.accepted {
        writer.write(accepted.order.epoch)
        writer.write(accepted.order.sequence)
        writer.write(accepted.entries)
      }
    }
    return writer.bytes
  }

  static func all(from bytes: [UInt8]) throws(RecordError) -> [MachineID: LibraryGrowth] {
    var reader = CanonicalReader(bytes)
    var all: [MachineID: LibraryGrowth] = [:]
    while reader.remaining > 0 {
      let library: MachineID = try reader.readIdentifier()
      var growth = LibraryGrowth()
      let hours: UInt16 = try reader.readInteger()
      for _ in 0..<hours {
        let number: Int64 = try reader.readInteger()
        growth.hours.append(Hour(number: number, entries: try reader.readInteger()))
      }
      if try reader.readInteger(UInt8.self) == 1 {
        let order = HeadOrder(epoch: try reader.readInteger(), sequence: try reader.readInteger())
        growth.accepted = Accepted(order: order, entries: try reader.readInteger())
      }
      all[library] = growth
    }
    return all
  }
}
