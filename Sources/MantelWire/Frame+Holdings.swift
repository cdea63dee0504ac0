import MantelCore
import NIOCore

extension Frame {
  /// Both lists together stay within `Limits.idsPerFrame`.
  static func decodeAvailable(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let added = try reader.identifiers(limit: Limits.idsPerFrame, "added", as: ContentID.self)
    let removed = try reader.identifiers(
      limit: Limits.idsPerFrame - added.count, "removed", as: ContentID.self)
    return .available(added: added, removed: removed)
  }

  static func encodeAvailable(
    _ added: [ContentID], _ removed: [ContentID], into buffer: inout ByteBuffer
  ) {
    buffer.write(added, limit: Limits.idsPerFrame)
    buffer.write(removed, limit: Limits.idsPerFrame - added.count)
  }

  /// Ranges are not empty, ascend and do not overlap, and end within the largest content.
  static func decodeAvailableBlocks(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let content = try reader.identifier("content", as: ContentID.self)
    let count = try reader.count(limit: FrameLimits.blockRanges, itemBytes: 8, "ranges")
    var ranges: [BlockRange] = []
    ranges.reserveCapacity(count)
    var end: UInt32 = 0
    for _ in 0..<count {
      let range = BlockRange(
        first: try reader.integer("ranges"), count: try reader.integer("ranges"))
      let (next, overflow) = range.first.addingReportingOverflow(range.count)
      guard range.first >= end, range.count > 0, !overflow, next <= FrameLimits.blocksPerContent else {
        throw .malformed(reader.type, field: "ranges")
      }
      end = next
      ranges.append(range)
    }
    return .availableBlocks(content, ranges)
  }

  static func encodeAvailableBlocks(
    _ content: ContentID, _ ranges: [BlockRange], into buffer: inout ByteBuffer
  ) {
    buffer.write(content)
    buffer.writeCount(ranges.count, limit: FrameLimits.blockRanges)
    for range in ranges { buffer.writeMultipleIntegers(range.first, range.count) }
  }
}
