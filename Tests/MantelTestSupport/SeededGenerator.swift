package import MantelCore

/// SplitMix64: the same seed gives the same run, on every machine and fast in a debug build. Not for secrets.
/// (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.)
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }

  // MARK: Choices

  /// True once in `n` times.
  package mutating func oneIn(_ n: UInt64) -> Bool { next() % n == 0 }

  package mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  package mutating func element<Value>(of values: [Value]) -> Value? {
    values.isEmpty ? nil : values[below(values.count)]
  }

  // MARK: Ids

  package mutating func id() -> Digest256 { Digest256(next(), next(), next(), next()) }

  /// Ascending uniform ids.
  package mutating func ids(_ count: Int) -> [Digest256] {
    var words: [UInt64] = []
    words.reserveCapacity(count)
    for _ in 0..<count { words.append(next()) }
    words.sort()
    return words.map { Digest256($0, next(), next(), next()) }
  }
}
