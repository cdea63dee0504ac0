/// A set of small numbers below a bound that is fixed when it is made.
struct BitSet: Sendable {
  private var words: [UInt64]

  init(bound: Int) { words = [UInt64](repeating: 0, count: (bound + 63) >> 6) }

  mutating func insert(_ number: Int) { words[number >> 6] |= 1 << UInt64(number & 63) }

  /// Precondition: both were made with the same bound.
  mutating func formUnion(_ other: BitSet) {
    for index in words.indices { words[index] |= other.words[index] }
  }

  func contains(_ number: Int) -> Bool { words[number >> 6] & 1 << UInt64(number & 63) != 0 }
}
