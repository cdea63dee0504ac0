import MantelCore
import MantelWire

/// What is special of a PULL_ANY of the peer: its units come to be known as this side chooses them.
struct ServedPull {
  /// What may still be chosen.
  private(set) var offers: [UnitID]
  /// How many units, and bytes by the lengths of those that began, may still be chosen.
  private var count: Int
  private var bytes: UInt64
  /// How many units to choose at once: more while they are small, so that a choice does not cost each of them its time.
  private var atOnce = 0
  /// Bytes that began since the last choice.
  private var begun: UInt64 = 0
  private var isAsking = false
  /// Why nothing more is chosen.
  private(set) var end: Outcome?

  init(offers: [UnitID], count: Int, bytes: UInt64) {
    self.offers = offers
    self.count = count
    self.bytes = bytes
  }

  /// Units that began have used up what was asked for.
  var isUsedUp: Bool { bytes == 0 }

  /// How many units to choose now; nil while the answer to an earlier question is out, and at the end.
  mutating func nextChoice(_ limits: SessionLimits) -> Int? {
    guard !isAsking, end == nil else { return nil }
    guard count > 0, bytes > 0, !offers.isEmpty else {
      end = .complete
      return nil
    }
    atOnce = begun < UInt64(limits.lateBytes) ? min(max(1, atOnce * 2), limits.unitsPerChoice) : 1
    begun = 0
    isAsking = true
    return min(atOnce, count)
  }

  /// Takes an answer; returns the units that are really sent.
  mutating func chose(_ units: [UnitID]) -> [UnitID] {
    isAsking = false
    let offered = Set(offers)
    let taken = units.uniqued().filter(offered.contains).prefix(count)
    if taken.isEmpty { end = .complete }
    count -= taken.count
    withdraw(Set(taken))
    return Array(taken)
  }

  mutating func refused(_ outcome: Outcome) {
    isAsking = false
    end = outcome == .complete ? .failed : outcome
  }

  /// They are on their way already.
  mutating func withdraw(_ units: Set<UnitID>) { offers.removeAll { units.contains($0) } }

  mutating func began(_ length: UInt64) {
    bytes -= min(bytes, length)
    begun += length
  }
}
