import MantelCore
import MantelSummary
import Testing

/// Turns of two small descents, byte for byte; computed by an independent program from the format alone.
@Suite struct TurnVectorTests {
  private func turns(opener: Range<UInt64>, responder: Range<UInt64>) throws -> [String] {
    func snapshot(_ numbers: Range<UInt64>) -> SetSnapshot {
      let ids = numbers.map { number in
        SummaryHash.sha256(withUnsafeBytes(of: number.bigEndian) { Array($0) })
      }
      return SetSnapshot(sorted: ids.sorted(), tag: Fixtures.tag)
    }
    var meeting = Meeting(snapshot(opener), snapshot(responder))
    try meeting.run()
    return meeting.trace.map { piece in
      piece.bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
  }

  @Test func listsOfThree() throws {
    #expect(
      try turns(opener: 0..<3, responder: 1..<4) == [
        "0000000000000003" + "d1ef9c439d29c0ded8b7f0cc374094d0738fde7af493a6b52c5f25f6d6ea380b" + "01" + "03"
          + "65854c4661413b7d" + "6a8d9ba6ae5490c2" + "f8ed0b511b5a5e88",
        "04" + "01" + "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc",
        "d5688a52d55a02ec4aea5ec1eadfffe1c9e0ee6a4ddbe2377f98326d42dfc975",
      ])
  }

  @Test func vectorOfForty() throws {
    #expect(
      try turns(opener: 0..<40, responder: 0..<41) == [
        "0000000000000029" + "7624a84cc4e211658c98a1a1b093d5a58fbf27545fc17469b644d4d6d3eeb0b0" + "00"
          + "7fff"
          + "ec813c5ef671f83f02" + "7f1ded86d6bba65706" + "73082d0c210b1c3601" + "4a5269e6b0ae125401"
          + "f80289e36ceaaaeb04" + "da5746d5b6bb3bd905" + "7ed419f5376633b601" + "0453d80b28786c9e03"
          + "55a139635571d35802" + "4f418294b41f88c601" + "f81b54b291c94b8406" + "a2d8dd4e5b13d6f801"
          + "e337a8ae51e9171802" + "cbf64a30b4c3249b02" + "8d77bd4c1b7b7e6204",
        "0040" + "04",
        "01" + "6a339ff6defc6e73cf17dea3ea81f41e8bec092b4ced841a6c10732c0402a727",
      ])
  }
}
