/// Bits over the positions of a bucket, 64 a word, position 0 the lowest bit of word 0. A row may be shorter than its
/// bucket: what it does not reach is zero. So rows of sets that have nothing in a bucket cost nothing.
enum BitRow {
  static func contains(_ row: [UInt64], _ position: Int) -> Bool {
    let word = position >> 6
    return word < row.count && row[word] >> UInt64(position & 63) & 1 == 1
  }

  static func set(_ row: inout [UInt64], _ position: Int) {
    let word = position >> 6
    while row.count <= word { row.append(0) }
    row[word] |= 1 << UInt64(position & 63)
  }

  static func clear(_ row: inout [UInt64], _ position: Int) {
    let word = position >> 6
    if word < row.count { row[word] &= ~(1 << UInt64(position & 63)) }
  }

  /// Moves every bit from `position` on one up, and leaves a zero there.
  static func openGap(_ row: inout [UInt64], at position: Int) {
    let start = position >> 6
    guard start < row.count else { return }
    let below: UInt64 = (1 << UInt64(position & 63)) - 1
    var carry = row[start] >> 63
    row[start] = row[start] & below | (row[start] & ~below) << 1
    for word in (start + 1)..<max(row.count, start + 1) {
      let next = row[word] >> 63
      row[word] = row[word] << 1 | carry
      carry = next
    }
    if carry != 0 { row.append(1) }
  }

  /// Drops the bit at `position` and moves every later one down.
  static func closeGap(_ row: inout [UInt64], at position: Int) {
    let start = position >> 6
    guard start < row.count else { return }
    let below: UInt64 = (1 << UInt64(position & 63)) - 1
    row[start] = row[start] & below | row[start] >> 1 & ~below
    for word in (start + 1)..<max(row.count, start + 1) {
      row[word - 1] |= row[word] << 63
      row[word] >>= 1
    }
  }

  /// Calls the body with every position that is set, ascending.
  static func forEach(_ row: [UInt64], _ body: (Int) -> Void) {
    for (word, bits) in row.enumerated() {
      var rest = bits
      while rest != 0 {
        body(word << 6 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
  }

  static func count(_ row: [UInt64]) -> Int { row.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// How many of the positions in `range` are set.
  static func count(_ row: [UInt64], in range: Range<Int>) -> Int {
    var total = 0
    var position = range.lowerBound
    while position < range.upperBound, position >> 6 < row.count {
      let end = min(range.upperBound, (position >> 6 + 1) << 6)
      var bits = row[position >> 6] >> UInt64(position & 63)
      if end - position < 64 { bits &= (1 << UInt64(end - position)) - 1 }
      total += bits.nonzeroBitCount
      position = end
    }
    return total
  }

  /// A row with the first `count` positions set.
  static func full(_ count: Int) -> [UInt64] {
    var row = [UInt64](repeating: .max, count: (count + 63) >> 6)
    if count & 63 != 0 { row[row.count - 1] = (1 << UInt64(count & 63)) - 1 }
    return row
  }

  // MARK: Bytes, for the wire: position i is bit i % 8 of byte i / 8

  static func byte(_ row: [UInt64], _ index: Int) -> UInt8 {
    index >> 3 < row.count ? UInt8(truncatingIfNeeded: row[index >> 3] >> UInt64((index & 7) * 8)) : 0
  }

  /// Precondition: the byte is zero so far.
  static func setByte(_ row: inout [UInt64], _ index: Int, _ byte: UInt8) {
    guard byte != 0 else { return }
    while row.count <= index >> 3 { row.append(0) }
    row[index >> 3] |= UInt64(byte) << UInt64((index & 7) * 8)
  }
}
