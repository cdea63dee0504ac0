import NIOCore
import Testing

@testable import MantelAgent

@Suite struct CollectedUnitTests {
  /// A byte at a time, each in a buffer that the connection read for itself.
  @Test func smallPiecesKeepNothingButTheirBytes() {
    var unit = CollectedUnit(bytes: 1_000)
    let before = unit.bytes.storageCapacity
    for number in 0..<1_000 {
      var read = ByteBuffer(repeating: UInt8(truncatingIfNeeded: number), count: 32 << 10)
      if let piece = read.readSlice(length: 1) { unit.append(piece) }
    }
    #expect(unit.bytes.readableBytes == 1_000)
    #expect(unit.bytes.storageCapacity == before && before < 4_096)
    #expect(unit.bytes.getInteger(at: 999, as: UInt8.self) == UInt8(truncatingIfNeeded: 999))
  }

  @Test func piecesFollowEachOther() {
    var unit = CollectedUnit(bytes: 6)
    for text in ["ab", "", "cdef"] { unit.append(ByteBuffer(string: text)) }
    #expect(String(buffer: unit.bytes) == "abcdef")
  }
}
