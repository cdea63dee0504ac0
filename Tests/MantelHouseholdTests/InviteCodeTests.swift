import Testing

@testable import MantelHousehold

@Suite struct InviteCodeTests {
  private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

  private static let codes: [InviteCode] = [
    InviteCode(random: Array(0..<15)), InviteCode(random: [UInt8](repeating: 0, count: 15)),
    InviteCode(random: [UInt8](repeating: 31, count: 15)),
    InviteCode(random: [250, 3, 77, 9, 128, 64, 31, 200, 14, 0, 1, 99, 42, 17, 66]),
  ]

  @Test(arguments: codes)
  func everySingleTypoIsCaught(code: InviteCode) {
    let symbols = Array(code.display.filter { $0 != "-" })
    #expect(symbols.count == 16)
    for position in symbols.indices {
      for symbol in Self.alphabet where symbol != symbols[position] {
        var typed = symbols
        typed[position] = symbol
        #expect(throws: InviteCodeError.wrongCheckSymbol) { try InviteCode(parsing: String(typed)) }
      }
    }
  }

  @Test func everyAdjacentSwapIsCaught() {
    // A swap only depends on the two symbols and their place: all of both, once each.
    for position in 0..<15 {
      for left in UInt8(0)..<32 {
        for right in UInt8(0)..<32 where left != right {
          var random = [UInt8](repeating: 7, count: 15)
          random[position] = left
          if position < 14 { random[position + 1] = right }
          var typed = Array(InviteCode(random: random).display.filter { $0 != "-" })
          guard typed[position] != typed[position + 1] else { continue }
          typed.swapAt(position, position + 1)
          if (try? InviteCode(parsing: String(typed))) != nil { Issue.record("swap at \(position)") }
        }
      }
    }
  }

  @Test(arguments: codes)
  func whatPeopleTypeIsUnderstood(code: InviteCode) throws {
    let shown = code.display
    let typed = [
      shown, shown.lowercased(), shown.filter { $0 != "-" }, "  \(shown)\n",
      shown.replacing("-", with: " "), shown.replacing("-", with: "\u{2013}"),
      shown.replacing("0", with: "O").replacing("1", with: "l"),
      shown.replacing("0", with: "o").replacing("1", with: "I"),
    ]
    for text in typed { #expect(try InviteCode(parsing: text) == code) }
  }

  @Test func mistakesAreNamed() {
    #expect(throws: InviteCodeError.wrongLength(count: 0)) { try InviteCode(parsing: "") }
    #expect(throws: InviteCodeError.wrongLength(count: 15)) {
      try InviteCode(parsing: "0123-4567-89AB-CDE")
    }
    #expect(throws: InviteCodeError.wrongLength(count: 2_000)) {
      try InviteCode(parsing: String(repeating: "7", count: 2_000))
    }
    for wrong: Character in ["U", "u", "é", "_", "7\u{301}"] {
      #expect(throws: InviteCodeError.invalidCharacter(wrong)) {
        try InviteCode(parsing: "0123-4567-89A\(wrong)-CDEF")
      }
    }
  }
}
