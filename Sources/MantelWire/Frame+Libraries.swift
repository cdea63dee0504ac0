import MantelCore
import NIOCore

extension Frame {
  static func decodeGetDelta(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    .getDelta(
      try reader.request(), library: try reader.identifier("library"),
      from: try reader.order("from"), to: try reader.order("to"))
  }

  static func decodeGetEntries(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let library = try reader.identifier("library", as: MachineID.self)
    let ids = try reader.identifiers(limit: Limits.idsPerFrame, "ids", as: EntryID.self)
    guard !ids.isEmpty else { throw .malformed(reader.type, field: "ids") }
    return .getEntries(request, library: library, ids)
  }

  static func encodeGetEntries(
    _ request: RequestID, _ library: MachineID, _ ids: [EntryID], into buffer: inout ByteBuffer
  ) {
    precondition(!ids.isEmpty, "a request for no entries")
    buffer.write(request)
    buffer.write(library)
    buffer.write(ids, limit: Limits.idsPerFrame)
  }

  /// Entries stay bytes here: their ids are taken over exactly these.
  static func decodeEntries(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let count = try reader.count(limit: Limits.idsPerFrame, itemBytes: 2, "entries")
    var entries: [[UInt8]] = []
    entries.reserveCapacity(count)
    for _ in 0..<count {
      entries.append(try reader.lengthPrefixed(limit: Entry.maximumBytes, "entries"))
    }
    return .entries(request, entries)
  }

  static func encodeEntries(
    _ request: RequestID, _ entries: [[UInt8]], into buffer: inout ByteBuffer
  ) {
    buffer.write(request)
    buffer.writeCount(entries.count, limit: Limits.idsPerFrame)
    for entry in entries { buffer.write(lengthPrefixed: entry, limit: Entry.maximumBytes) }
  }

  static func decodeRemovedEntries(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    .removedEntries(try reader.request(), try reader.identifiers(limit: Limits.idsPerFrame, "ids"))
  }
}
