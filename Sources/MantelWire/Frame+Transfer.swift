import MantelCore
import NIOCore

extension PayloadReader {
  /// Content, part and block index; the index is 0 unless the part is a block.
  fileprivate mutating func unit() throws(WireError) -> UnitID {
    let content = try identifier("unit", as: ContentID.self)
    let part = try integer("unit", as: UInt8.self)
    let index = try integer("unit", as: UInt32.self)
    switch (UnitPartCode(rawValue: part), index) {
    case (.whole, 0): return UnitID(content: content, part: .whole)
    case (.block, ..<FrameLimits.blocksPerContent): return UnitID(content: content, part: .block(index))
    case (.manifest, 0): return UnitID(content: content, part: .manifest)
    default: throw .malformed(type, field: "unit")
    }
  }

  /// At least one unit.
  fileprivate mutating func units(limit: Int) throws(WireError) -> [UnitID] {
    let count = try count(limit: limit, itemBytes: FrameLimits.unitIDBytes, "units")
    guard count > 0 else { throw .malformed(type, field: "units") }
    var units: [UnitID] = []
    units.reserveCapacity(count)
    for _ in 0..<count { units.append(try unit()) }
    return units
  }

  /// A unit's place in its request.
  fileprivate mutating func unitIndex() throws(WireError) -> UInt16 {
    let index = try integer("index", as: UInt16.self)
    guard Int(index) < Limits.unitsPerGet else { throw .overLimit(type, field: "index") }
    return index
  }
}

private enum UnitPartCode: UInt8 {
  case whole = 0
  case block = 1
  case manifest = 2
}

extension ByteBuffer {
  fileprivate mutating func write(_ unit: UnitID) {
    write(unit.content)
    let (code, index): (UnitPartCode, UInt32) =
      switch unit.part {
      case .whole: (.whole, 0)
      case .block(let index): (.block, index)
      case .manifest: (.manifest, 0)
      }
    precondition(index < FrameLimits.blocksPerContent, "a block behind the end of the largest content")
    writeMultipleIntegers(code.rawValue, index)
  }

  fileprivate mutating func write(_ request: RequestID, index: UInt16) {
    precondition(Int(index) < Limits.unitsPerGet, "a unit index that no request has")
    write(request)
    writeInteger(index)
  }
}

extension Frame {
  static func decodeGet(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    .get(try reader.request(), try reader.units(limit: Limits.unitsPerGet))
  }

  static func decodeUnitBegin(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let index = try reader.unitIndex()
    let bytes = try reader.integer("bytes", as: UInt64.self)
    guard bytes <= FrameLimits.unitBytes else { throw .overLimit(reader.type, field: "bytes") }
    return .unitBegin(request, index: index, bytes: bytes)
  }

  /// The file bytes are a slice of what was received; there is at least one.
  static func decodeData(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let index = try reader.unitIndex()
    guard reader.remaining > 0 else { throw .truncated(reader.type, field: "data") }
    return .data(request, index: index, reader.rest())
  }

  static func decodeUnitEnd(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    .unitEnd(try reader.request(), index: try reader.unitIndex(), try reader.outcome())
  }

  static func decodePullAny(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    let request = try reader.request()
    let count = try reader.integer("count", as: UInt16.self)
    guard count > 0 else { throw .malformed(reader.type, field: "count") }
    guard Int(count) <= Limits.unitsPerGet else { throw .overLimit(reader.type, field: "count") }
    let bytes = try reader.integer("bytes", as: UInt32.self)
    guard bytes > 0 else { throw .malformed(reader.type, field: "bytes") }
    guard Int(bytes) <= Limits.bytesPerGet else { throw .overLimit(reader.type, field: "bytes") }
    return .pullAny(request, count: count, bytes: bytes, try reader.units(limit: FrameLimits.pullUnits))
  }

  static func decodeChosenUnit(_ reader: inout PayloadReader) throws(WireError) -> Frame {
    .chosenUnit(try reader.request(), index: try reader.unitIndex(), try reader.unit())
  }

  /// The payload of a frame of this family; precondition: it is one.
  func encodeTransfer(into buffer: inout ByteBuffer) {
    switch self {
    case .get(let request, let units):
      precondition(!units.isEmpty, "a request for no units")
      buffer.write(request)
      buffer.writeCount(units.count, limit: Limits.unitsPerGet)
      for unit in units { buffer.write(unit) }
    case .unitBegin(let request, let index, let bytes):
      precondition(bytes <= FrameLimits.unitBytes, "a unit longer than any unit is")
      buffer.write(request, index: index)
      buffer.writeInteger(bytes)
    case .data(let request, let index, let bytes):
      precondition(bytes.readableBytes > 0, "a data frame without data")
      buffer.write(request, index: index)
      buffer.writeImmutableBuffer(bytes)
    case .unitEnd(let request, let index, let outcome):
      buffer.write(request, index: index)
      buffer.writeInteger(outcome.rawValue)
    case .cancel(let request): buffer.write(request)
    case .pullAny(let request, let count, let bytes, let units):
      precondition(count > 0 && Int(count) <= Limits.unitsPerGet, "a pull for too few or too many units")
      precondition(bytes > 0 && Int(bytes) <= Limits.bytesPerGet, "a pull for too few or too many bytes")
      precondition(!units.isEmpty, "a pull without a choice")
      buffer.write(request)
      buffer.writeMultipleIntegers(count, bytes)
      buffer.writeCount(units.count, limit: FrameLimits.pullUnits)
      for unit in units { buffer.write(unit) }
    case .chosenUnit(let request, let index, let unit):
      buffer.write(request, index: index)
      buffer.write(unit)
    case .done(let request, let outcome):
      buffer.write(request)
      buffer.writeInteger(outcome.rawValue)
    default: preconditionFailure("not a frame of transfer")
    }
  }
}
