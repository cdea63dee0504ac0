package import NIOCore
import MantelCore

/// Takes frames off the front of received bytes.
///
/// A header is judged as soon as its 4 bytes are there, so a caller never has to gather more than
/// `FrameLimits.headerBytes + Limits.frameBytes` before this type decides. When it returns nil or throws, the frame at
/// the front still stands in the buffer. Payloads of DATA and TURN are slices of the buffer, not copies.
package struct FrameDecoder: Sendable {
  package init() {}

  /// The next frame, or nil when its bytes are not all there yet. Unknown optional frames before it are skipped.
  package mutating func decode(_ buffer: inout ByteBuffer) throws(WireError) -> Frame? {
    while let header = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) {
      let code = UInt8(truncatingIfNeeded: header)
      let length = Int(header >> 8)
      let type = FrameType(rawValue: code)
      guard type != nil || FrameType.isOptional(code: code) else { throw .unknownCriticalType(code) }
      guard length <= type?.maximumBytes ?? Limits.frameBytes else {
        throw .tooLong(type: code, bytes: length)
      }
      let start = buffer.readerIndex + FrameLimits.headerBytes
      guard let payload = buffer.getSlice(at: start, length: length) else { return nil }
      if let type {
        var reader = PayloadReader(payload, type: type)
        let frame = try Frame(from: &reader)
        try reader.finish()
        buffer.moveReaderIndex(to: start + length)
        return frame
      }
      buffer.moveReaderIndex(to: start + length)
    }
    return nil
  }
}

extension Frame {
  fileprivate init(from reader: inout PayloadReader) throws(WireError) {
    switch reader.type {
    case .hello: self = .hello(try Hello(from: &reader))
    case .ping: self = .ping(try reader.integer("number"))
    case .pong: self = .pong(try reader.integer("number"))
    case .close: self = try .decodeClose(&reader)
    case .roster: self = try .decodeRoster(&reader)
    case .record: self = .record(try reader.signed())
    case .head: self = .head(try reader.signed())
    case .attestation: self = try .decodeAttestation(&reader)
    case .forgetRequest: self = .forgetRequest(try reader.signed())
    case .getDelta: self = try .decodeGetDelta(&reader)
    case .getEntries: self = try .decodeGetEntries(&reader)
    case .entries: self = try .decodeEntries(&reader)
    case .removedEntries: self = try .decodeRemovedEntries(&reader)
    case .reconcile: self = try .decodeReconcile(&reader)
    case .turn: self = try .decodeTurn(&reader)
    case .get: self = try .decodeGet(&reader)
    case .unitBegin: self = try .decodeUnitBegin(&reader)
    case .data: self = try .decodeData(&reader)
    case .unitEnd: self = try .decodeUnitEnd(&reader)
    case .cancel: self = .cancel(try reader.request())
    case .pullAny: self = try .decodePullAny(&reader)
    case .chosenUnit: self = try .decodeChosenUnit(&reader)
    case .done: self = .done(try reader.request(), try reader.outcome())
    case .available: self = try .decodeAvailable(&reader)
    case .availableBlocks: self = try .decodeAvailableBlocks(&reader)
    case .challenge: self = try .decodeChallenge(&reader)
    case .challengeAnswer:
      self = .challengeAnswer(try reader.request(), try reader.digest("answer"))
    }
  }
}
