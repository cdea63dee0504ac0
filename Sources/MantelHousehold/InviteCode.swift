/// Why a typed code cannot be right; found without asking anyone.
package enum InviteCodeError: Error, Equatable, Sendable {
  /// A code has 16 symbols, dashes and spaces apart; this one has `count`.
  case wrongLength(count: Int)
  /// Not a digit or letter of a code (the letter U is none).
  case invalidCharacter(Character)
  /// One symbol is mistyped, or two were swapped.
  case wrongCheckSymbol
}

/// A one-time code: 15 random Crockford base32 symbols (75 bits) and a check symbol.
///
/// The check symbol is the sum in GF(32) (polynomial x^5 + x^2 + 1) of symbol i times x^(i+1), i from 0 to 14. As all 16 weights
/// (1 for the check symbol) differ and none is zero, each single wrong symbol and each swap of two is caught.
package struct InviteCode: Hashable, Sendable {
  /// Symbols without the check symbol.
  package static let randomSymbols = 15
  /// Random bytes that a code is made from.
  package static let randomBytes = 15

  private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

  /// Values 0...31; the check symbol is last.
  private let values: [UInt8]

  /// Takes the low 5 bits of each of 15 random bytes.
  package init(random: [UInt8]) {
    precondition(random.count >= Self.randomBytes, "a code is made from 15 random bytes")
    let symbols = random.prefix(Self.randomSymbols).map { $0 & 31 }
    self.values = symbols + [Self.checkValue(of: symbols)]
  }

  /// Takes what a person typed: either case, with or without dashes and spaces, O for 0, I and L for 1.
  package init(parsing text: String) throws(InviteCodeError) {
    var values: [UInt8] = []
    var count = 0
    for character in text {
      if character.isWhitespace || Self.isDash(character) { continue }
      guard let value = Self.value(of: character) else { throw .invalidCharacter(character) }
      count += 1
      if count <= Self.randomSymbols + 1 { values.append(value) }
    }
    guard count == Self.randomSymbols + 1 else { throw .wrongLength(count: count) }
    guard Self.checkValue(of: Array(values.dropLast())) == values.last else {
      throw .wrongCheckSymbol
    }
    self.values = values
  }

  /// `XXXX-XXXX-XXXX-XXXX`, upper case.
  package var display: String {
    var text: [UInt8] = []
    for (offset, value) in values.enumerated() {
      if offset > 0, offset % 4 == 0 { text.append(UInt8(ascii: "-")) }
      text.append(Self.alphabet[Int(value)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The 15 random symbols in upper-case ASCII: the secret that keys are derived from.
  var secret: [UInt8] { values.dropLast().map { Self.alphabet[Int($0)] } }

  private static func checkValue(of symbols: [UInt8]) -> UInt8 {
    var sum: UInt8 = 0
    var weight: UInt8 = 1
    for symbol in symbols {
      weight = product(weight, 2)
      sum ^= product(symbol, weight)
    }
    return sum
  }

  /// Multiplies in GF(32).
  private static func product(_ left: UInt8, _ right: UInt8) -> UInt8 {
    var result: UInt8 = 0
    var shifted = left
    for bit in 0..<5 {
      if right >> UInt8(bit) & 1 == 1 { result ^= shifted }
      shifted <<= 1
      if shifted & 32 != 0 { shifted ^= 0b100101 }
    }
    return result
  }

  private static func isDash(_ character: Character) -> Bool {
    character == "-" || character == "\u{2010}" || character == "\u{2011}" || character == "\u{2013}"
      || character == "\u{2014}" || character == "\u{2212}"
  }

  private static func value(of character: Character) -> UInt8? {
    guard var ascii = character.asciiValue else { return nil }
    if ascii >= UInt8(ascii: "a"), ascii <= UInt8(ascii: "z") { ascii -= 32 }
    switch ascii {
    case UInt8(ascii: "O"): return 0
    case UInt8(ascii: "I"), UInt8(ascii: "L"): return 1
    default: return alphabet.firstIndex(of: ascii).map { UInt8($0) }
    }
  }
}

extension InviteCode: CustomStringConvertible {
  /// Says nothing: a code must not end up in a log. People are shown `display`.
  package var description: String { "InviteCode" }
}
