import MantelCore
import Testing

@Suite struct UnitTests {
  static let mebibyte: UInt64 = 1 << 20

  @Test(
    arguments: [
      (size: 0, blocks: 0, lastBlock: nil), (size: 1, blocks: 0, lastBlock: nil),
      (size: 4 << 20, blocks: 0, lastBlock: nil), (size: (4 << 20) + 1, blocks: 5, lastBlock: 1),
      (size: 5 << 20, blocks: 5, lastBlock: 1 << 20), (size: (5 << 20) + 1, blocks: 6, lastBlock: 1),
      (size: Limits.contentBytes, blocks: 262_144, lastBlock: 1 << 20),
    ] as [(size: UInt64, blocks: Int, lastBlock: UInt64?)])
  func cutsBySize(layout: (size: UInt64, blocks: Int, lastBlock: UInt64?)) {
    let units = UnitLayout(size: layout.size)
    #expect(units.isWhole == (layout.blocks == 0))
    #expect(units.blockCount == layout.blocks)
    #expect(units.manifestBytes == (layout.blocks == 0 ? 0 : 8 + 32 * layout.blocks))
    #expect(units.range(of: .block(UInt32(layout.blocks))) == nil)
    #expect(units.range(of: .block(.max)) == nil)
    if let lastBlock = layout.lastBlock {
      #expect(units.range(of: .whole) == nil)
      #expect(units.range(of: .manifest) == 0..<UInt64(units.manifestBytes))
      #expect(units.range(of: .block(0)) == 0..<Self.mebibyte)
      #expect(
        units.range(of: .block(UInt32(layout.blocks - 1)))
          == layout.size - lastBlock..<layout.size)
    } else {
      #expect(units.range(of: .whole) == 0..<layout.size)
      #expect(units.range(of: .manifest) == nil)
    }
  }

  @Test func blocksCoverTheContentWithoutGapOrOverlap() throws {
    let units = UnitLayout(size: 7 << 20 | 12_345)
    var end: UInt64 = 0
    for block in 0..<UInt32(units.blockCount) {
      let range = try #require(units.range(of: .block(block)))
      #expect(range.lowerBound == end)
      end = range.upperBound
    }
    #expect(end == units.size)
  }

  @Test func largestManifestIsTheLimit() {
    #expect(UnitLayout(size: Limits.contentBytes).manifestBytes == Limits.manifestBytes)
  }

  @Test func manifestRoundTripsAndIsRefusedOtherwise() throws {
    let manifest = Manifest(
      size: (4 << 20) + 1, blocks: (0..<5).map { Digest256($0, $0, $0, $0) })
    let bytes = manifest.bytes
    #expect(bytes.count == 8 + 5 * 32)
    #expect(try Manifest(bytes: bytes) == manifest)
    #expect(manifest.hashedBytes == Array("mantel/blocks/1\0".utf8) + bytes)
    for length in 0..<bytes.count {
      #expect(throws: RecordError.truncated) { try Manifest(bytes: Array(bytes.prefix(length))) }
    }
    #expect(throws: RecordError.self) { try Manifest(bytes: bytes + [0]) }
  }

  @Test(arguments: [0, 4 << 20, Limits.contentBytes + 1, .max] as [UInt64])
  func manifestRefusesSizesWithoutOne(size: UInt64) {
    var writer = CanonicalWriter()
    writer.write(size)
    for _ in 0..<4 { writer.write(Digest256.zero) }
    let bytes = writer.bytes
    #expect(throws: RecordError.invalid(field: "size")) { try Manifest(bytes: bytes) }
  }

  @Test func manifestRefusesMoreThanTheLimit() {
    let bytes = [UInt8](repeating: 0, count: Limits.manifestBytes + 1)
    #expect(throws: RecordError.overLimit(field: "manifest")) { try Manifest(bytes: bytes) }
  }

  @Test func ordersByContentThenPart() {
    let units = [
      UnitID(content: contentID(1), part: .whole), UnitID(content: contentID(1), part: .block(0)),
      UnitID(content: contentID(1), part: .block(1)), UnitID(content: contentID(1), part: .manifest),
      UnitID(content: contentID(2), part: .whole),
    ]
    #expect(units.reversed().sorted() == units)
  }
}
