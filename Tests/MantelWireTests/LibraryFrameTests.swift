import MantelCore
import NIOCore
import Testing

@testable import MantelWire

@Suite struct LibraryFrameTests {
  private func ids(_ count: Int, into buffer: inout ByteBuffer) {
    buffer.writeInteger(UInt16(count))
    buffer.writeRepeatingByte(1, count: 32 * count)
  }

  @Test func requestForNoEntriesIsRefused() {
    let bytes = wireBytes(.getEntries) {
      $0.writeRepeatingByte(0, count: 36)
      ids(0, into: &$0)
    }
    #expect(throws: WireError.malformed(.getEntries, field: "ids")) { try decodeOne(bytes) }
  }

  /// One id too many makes the frame too long as well: its length is what is refused.
  @Test func idsAreBounded() {
    let over = Limits.idsPerFrame + 1
    let get = wireBytes(.getEntries) {
      $0.writeRepeatingByte(0, count: 36)
      ids(over, into: &$0)
    }
    #expect(throws: WireError.tooLong(type: 0x23, bytes: 38 + 32 * over)) { try decodeOne(get) }
    let removed = wireBytes(.removedEntries) {
      $0.writeInteger(UInt32(1))
      ids(over, into: &$0)
    }
    #expect(throws: WireError.tooLong(type: 0x27, bytes: 6 + 32 * over)) { try decodeOne(removed) }
    let lying = wireBytes(.removedEntries) { $0.writeBytes([0, 0, 0, 1, 0xff, 0xff]) }
    #expect(throws: WireError.overLimit(.removedEntries, field: "ids")) { try decodeOne(lying) }
    let short = wireBytes(.removedEntries) { $0.writeBytes([0, 0, 0, 1, 4, 0]) }
    #expect(throws: WireError.truncated(.removedEntries, field: "ids")) { try decodeOne(short) }
  }

  @Test func entriesAreBounded() {
    let long = wireBytes(.entries) {
      $0.writeMultipleIntegers(UInt32(1), UInt16(1), UInt16(Entry.maximumBytes + 1))
      $0.writeRepeatingByte(1, count: Entry.maximumBytes + 1)
    }
    #expect(throws: WireError.overLimit(.entries, field: "entries")) { try decodeOne(long) }
    let many = wireBytes(.entries) {
      $0.writeMultipleIntegers(UInt32(1), UInt16(Limits.idsPerFrame + 1))
      $0.writeRepeatingByte(0, count: 2 * (Limits.idsPerFrame + 1))
    }
    #expect(throws: WireError.overLimit(.entries, field: "entries")) { try decodeOne(many) }
  }

  @Test func entriesAreSplitIntoFramesThatFit() throws {
    let entries = (0..<3_000).map { [UInt8](repeating: 1, count: $0 % 97) }
    let long = (0..<5).map { [UInt8](repeating: UInt8($0), count: Entry.maximumBytes) }
    var received: [[UInt8]] = []
    for frame in Frame.entriesFrames(RequestID(1), entries + long) {
      guard case .entries(RequestID(1), let part) = try decodeOne(wireBytes(frame)) else { continue }
      received += part
    }
    #expect(received == entries + long)
  }
}

@Suite struct ReconciliationFrameTests {
  @Test func setsAreAClosedList() {
    let bytes = wireBytes(.reconcile) {
      $0.writeMultipleIntegers(UInt32(1), UInt8(2), UInt64(0))
      $0.writeRepeatingByte(0, count: 32)
    }
    #expect(throws: WireError.malformed(.reconcile, field: "set")) { try decodeOne(bytes) }
  }

  @Test func unknownTurnFlagsAreRefused() throws {
    for flags in UInt8(0)...255 {
      let bytes = wireBytes(.turn) { $0.writeMultipleIntegers(UInt32(1), flags) }
      if flags < 4 {
        #expect(
          try decodeOne(bytes)
            == .turn(RequestID(1), isReply: flags & 1 != 0, isLast: flags & 2 != 0, ByteBuffer()))
      } else {
        #expect(throws: WireError.malformed(.turn, field: "flags")) { try decodeOne(bytes) }
      }
    }
  }
}
