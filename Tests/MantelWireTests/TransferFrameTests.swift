import MantelCore
import NIOCore
import Testing

@testable import MantelWire

@Suite struct TransferFrameTests {
  private func get(part: UInt8, index: UInt32) -> [UInt8] {
    wireBytes(.get) {
      $0.writeMultipleIntegers(UInt32(1), UInt16(1))
      $0.writeRepeatingByte(1, count: 32)
      $0.writeMultipleIntegers(part, index)
    }
  }

  @Test(
    arguments: [(0, 1), (1, FrameLimits.blocksPerContent), (1, .max), (2, 1), (3, 0)] as [(UInt8, UInt32)])
  func unitsHaveOneEncoding(part: UInt8, index: UInt32) {
    #expect(throws: WireError.malformed(.get, field: "unit")) {
      try decodeOne(get(part: part, index: index))
    }
  }

  @Test func requestsAskForSomethingAndNotTooMuch() {
    let none = wireBytes(.get) { $0.writeMultipleIntegers(UInt32(1), UInt16(0)) }
    #expect(throws: WireError.malformed(.get, field: "units")) { try decodeOne(none) }
    let over = wireBytes(.get) { $0.writeMultipleIntegers(UInt32(1), UInt16(Limits.unitsPerGet + 1)) }
    #expect(throws: WireError.overLimit(.get, field: "units")) { try decodeOne(over) }
  }

  @Test func pullsLeaveAChoiceAndAskForNotTooMuch() {
    func pull(_ count: Int, bytes: Int = 1, units: Int = 1) -> [UInt8] {
      wireBytes(.pullAny) {
        $0.writeMultipleIntegers(UInt32(1), UInt16(count), UInt32(bytes), UInt16(units))
      }
    }
    #expect(throws: WireError.malformed(.pullAny, field: "count")) { try decodeOne(pull(0)) }
    #expect(throws: WireError.overLimit(.pullAny, field: "count")) {
      try decodeOne(pull(Limits.unitsPerGet + 1))
    }
    #expect(throws: WireError.malformed(.pullAny, field: "bytes")) { try decodeOne(pull(1, bytes: 0)) }
    #expect(throws: WireError.overLimit(.pullAny, field: "bytes")) {
      try decodeOne(pull(1, bytes: Limits.bytesPerGet + 1))
    }
    #expect(throws: WireError.malformed(.pullAny, field: "units")) { try decodeOne(pull(1, units: 0)) }
    #expect(throws: WireError.overLimit(.pullAny, field: "units")) {
      try decodeOne(pull(1, units: FrameLimits.pullUnits + 1))
    }
  }

  @Test func unitsAreBounded() {
    let index = UInt16(Limits.unitsPerGet)
    let begin = wireBytes(.unitBegin) { $0.writeMultipleIntegers(UInt32(1), index, UInt64(1)) }
    #expect(throws: WireError.overLimit(.unitBegin, field: "index")) { try decodeOne(begin) }
    let data = wireBytes(.data) { $0.writeMultipleIntegers(UInt32(1), index, UInt8(1)) }
    #expect(throws: WireError.overLimit(.data, field: "index")) { try decodeOne(data) }
    let end = wireBytes(.unitEnd) { $0.writeMultipleIntegers(UInt32(1), index, UInt8(0)) }
    #expect(throws: WireError.overLimit(.unitEnd, field: "index")) { try decodeOne(end) }
    let long = wireBytes(.unitBegin) {
      $0.writeMultipleIntegers(UInt32(1), UInt16(0), FrameLimits.unitBytes + 1)
    }
    #expect(throws: WireError.overLimit(.unitBegin, field: "bytes")) { try decodeOne(long) }
  }

  @Test func dataIsNeverEmpty() {
    let empty = wireBytes(.data) { $0.writeMultipleIntegers(UInt32(1), UInt16(0)) }
    #expect(throws: WireError.truncated(.data, field: "data")) { try decodeOne(empty) }
  }

  @Test func outcomesAreAClosedSet() throws {
    for code in UInt8(0)...255 {
      let bytes = wireBytes(.done) { $0.writeMultipleIntegers(UInt32(1), code) }
      if let outcome = Outcome(rawValue: code) {
        #expect(try decodeOne(bytes) == .done(RequestID(1), outcome))
      } else {
        #expect(throws: WireError.malformed(.done, field: "outcome")) { try decodeOne(bytes) }
      }
    }
  }
}

@Suite struct HoldingsFrameTests {
  @Test func bothListsShareOneLimit() {
    let over = wireBytes(.available) {
      $0.writeInteger(UInt16(1))
      $0.writeRepeatingByte(1, count: 32)
      $0.writeInteger(UInt16(Limits.idsPerFrame))
    }
    #expect(throws: WireError.overLimit(.available, field: "removed")) { try decodeOne(over) }
  }

  @Test(
    arguments: [
      [(0, 0)], [(5, 2), (6, 1)], [(5, 1), (5, 1)], [(5, 1), (4, 1)], [(.max, 1)], [(1, .max)],
      [(FrameLimits.blocksPerContent, 1)], [(0, FrameLimits.blocksPerContent + 1)],
    ] as [[(UInt32, UInt32)]])
  func rangesAscendWithinTheContent(ranges: [(UInt32, UInt32)]) {
    let bytes = wireBytes(.availableBlocks) {
      $0.writeRepeatingByte(1, count: 32)
      $0.writeInteger(UInt16(ranges.count))
      for (first, count) in ranges { $0.writeMultipleIntegers(first, count) }
    }
    #expect(throws: WireError.malformed(.availableBlocks, field: "ranges")) { try decodeOne(bytes) }
  }

  @Test func rangesAreBounded() {
    let over = wireBytes(.availableBlocks) {
      $0.writeRepeatingByte(1, count: 32)
      $0.writeInteger(UInt16(FrameLimits.blockRanges + 1))
    }
    #expect(throws: WireError.overLimit(.availableBlocks, field: "ranges")) { try decodeOne(over) }
  }
}

@Suite struct ProofFrameTests {
  private func challenge(offset: UInt64, count: UInt32) -> [UInt8] {
    wireBytes(.challenge) {
      $0.writeRepeatingByte(1, count: 36)
      $0.writeMultipleIntegers(offset, count)
      $0.writeRepeatingByte(2, count: 16)
    }
  }

  @Test func rangesAreBounded() {
    #expect(throws: WireError.malformed(.challenge, field: "count")) {
      try decodeOne(challenge(offset: 0, count: 0))
    }
    #expect(throws: WireError.overLimit(.challenge, field: "count")) {
      try decodeOne(challenge(offset: 0, count: FrameLimits.challengeBytes + 1))
    }
    for offset in [Limits.contentBytes, .max] {
      #expect(throws: WireError.overLimit(.challenge, field: "offset")) {
        try decodeOne(challenge(offset: offset, count: 1))
      }
    }
  }
}
