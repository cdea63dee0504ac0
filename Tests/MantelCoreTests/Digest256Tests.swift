import MantelCore
import Testing

@Suite struct Digest256Tests {
  static let counting = Digest256(0..<32)

  @Test func takesExactly32Bytes() throws {
    #expect(Digest256([UInt8](repeating: 1, count: 31)) == nil)
    #expect(Digest256([UInt8](repeating: 1, count: 33)) == nil)
    let digest = try #require(Self.counting)
    #expect(digest.bytes == Array(0..<32))
    #expect(digest.word0 == 0x0001_0203_0405_0607)
    #expect(digest.word3 == 0x1819_1a1b_1c1d_1e1f)
  }

  @Test func hexIsLowerCaseAndReadInEitherCase() throws {
    let digest = try #require(Self.counting)
    let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    #expect(digest.hex == text)
    #expect(Digest256(hex: text) == digest)
    #expect(Digest256(hex: text.uppercased()) == digest)
  }

  @Test(arguments: [
    "", "0", String(repeating: "0", count: 63), String(repeating: "0", count: 65),
    String(repeating: "0", count: 66), String(repeating: "0", count: 63) + "g",
    String(repeating: "0", count: 62) + "+1", String(repeating: "é", count: 32),
  ])
  func refusesOtherText(text: String) {
    #expect(Digest256(hex: text) == nil)
  }

  /// Sorting digests, walking a trie by nibbles and `ORDER BY` over a blob must agree.
  @Test func orderIsTheOrderOfBytesAndOfNibbles() throws {
    var generator = SplitMix64(seed: 1)
    var digests: [Digest256] = [.zero, Digest256(.max, .max, .max, .max)]
    for place in 0..<32 {
      var bytes = [UInt8](repeating: 0x7f, count: 32)
      bytes[place] = 0x80
      digests.append(try #require(Digest256(bytes)))
    }
    for _ in 0..<100 {
      digests.append(
        Digest256(generator.next(), generator.next(), generator.next(), generator.next()))
    }
    for left in digests {
      for right in digests {
        let byBytes = left.bytes.lexicographicallyPrecedes(right.bytes)
        #expect((left < right) == byBytes)
        #expect(left.nibbles.lexicographicallyPrecedes(right.nibbles) == byBytes)
      }
    }
  }

  @Test func nibblesAreTheHexDigits() throws {
    let digest = try #require(Self.counting)
    #expect(digest.nibbles.map { String($0, radix: 16) }.joined() == digest.hex)
  }
}

extension Digest256 {
  fileprivate var nibbles: [Int] { (0..<Self.nibbleCount).map { nibble(at: $0) } }
}

@Suite struct IdentifierTests {
  @Test func folderIDsKeepTheirBytesAndOrder() throws {
    let low = try #require(FolderID(Array(0..<16)))
    let high = try #require(FolderID([1] + [UInt8](repeating: 0, count: 15)))
    #expect(low.bytes == Array(0..<16))
    #expect(low.description == "000102030405060708090a0b0c0d0e0f")
    #expect(low < high)
    #expect(!(high < low))
    #expect(FolderID([UInt8](repeating: 0, count: 15)) == nil)
    #expect(FolderID([UInt8](repeating: 0, count: 17)) == nil)
  }

  @Test func shortFormIsThePrefix() throws {
    let id = try #require(ContentID(0..<32))
    #expect(id.short == "00010203")
    #expect(ContentID(hex: id.hex) == id)
  }
}
