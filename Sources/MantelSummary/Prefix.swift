import MantelCore

/// The ids that begin with certain nibbles: a node of the trie.
struct Prefix: Hashable, Sendable {
  /// The nibbles of the prefix, then zeros: the least id below it.
  let first: Digest256
  /// How many nibbles the prefix has, 0...64.
  let depth: Int

  /// The prefix of all ids.
  static let root = Prefix(first: .zero, depth: 0)

  private init(first: Digest256, depth: Int) {
    self.first = first
    self.depth = depth
  }

  /// The prefix with one more nibble. Precondition: fewer than 64 nibbles so far.
  func child(_ digit: Int) -> Prefix {
    precondition(depth < Digest256.nibbleCount && digit >= 0 && digit < 16)
    var next = first
    let bits = UInt64(digit) << UInt64((15 - depth & 15) * 4)
    switch depth >> 4 {
    case 0: next.word0 |= bits
    case 1: next.word1 |= bits
    case 2: next.word2 |= bits
    default: next.word3 |= bits
    }
    return Prefix(first: next, depth: depth + 1)
  }

  func contains(_ id: Digest256) -> Bool {
    if (id.word0 ^ first.word0) & mask(0) != 0 { return false }
    if depth <= 16 { return true }
    return (id.word1 ^ first.word1) & mask(1) == 0 && (id.word2 ^ first.word2) & mask(2) == 0
      && (id.word3 ^ first.word3) & mask(3) == 0
  }

  /// The greatest id below the prefix.
  var last: Digest256 {
    Digest256(
      first.word0 | ~mask(0), first.word1 | ~mask(1), first.word2 | ~mask(2), first.word3 | ~mask(3))
  }

  /// The bits of a word of an id that the prefix fixes.
  private func mask(_ word: Int) -> UInt64 {
    let bits = min(max(4 * depth - 64 * word, 0), 64)
    return bits == 0 ? 0 : UInt64.max << UInt64(64 - bits)
  }
}
