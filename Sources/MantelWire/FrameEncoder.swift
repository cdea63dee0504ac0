package import NIOCore
import MantelCore

/// Writes frames as the decoder of any other machine will take them.
package struct FrameEncoder {
  /// Appends header and payload. Precondition: lists and texts within their limits; a frame that breaks them is this
  /// program's own mistake and would be refused at the other end.
  package static func encode(_ frame: Frame, into buffer: inout ByteBuffer) {
    let start = buffer.writerIndex
    let type = frame.type
    buffer.writeInteger(UInt32(type.rawValue))
    frame.encodePayload(into: &buffer)
    let length = buffer.writerIndex - start - FrameLimits.headerBytes
    precondition(length <= type.maximumBytes, "a frame is longer than its type allows")
    buffer.setInteger(UInt32(length) << 8 | UInt32(type.rawValue), at: start)
  }
}

extension Frame {
  fileprivate func encodePayload(into buffer: inout ByteBuffer) {
    switch self {
    case .hello(let hello): hello.encode(into: &buffer)
    case .ping(let number), .pong(let number): buffer.writeInteger(number)
    case .close(let code, let message): Self.encodeClose(code, message, into: &buffer)
    case .roster(let statements): Self.encodeRoster(statements, into: &buffer)
    case .record(let record): buffer.writeBytes(record.bytes)
    case .head(let head): buffer.writeBytes(head.bytes)
    case .attestation(let part, let isLast, let bytes):
      Self.encodeAttestation(part: part, isLast: isLast, bytes, into: &buffer)
    case .forgetRequest(let request): buffer.writeBytes(request.bytes)
    case .getDelta(let request, let library, let from, let to):
      buffer.write(request)
      buffer.write(library)
      buffer.write(from)
      buffer.write(to)
    case .getEntries(let request, let library, let ids):
      Self.encodeGetEntries(request, library, ids, into: &buffer)
    case .entries(let request, let entries): Self.encodeEntries(request, entries, into: &buffer)
    case .removedEntries(let request, let ids):
      buffer.write(request)
      buffer.write(ids, limit: Limits.idsPerFrame)
    case .reconcile(let request, let set, let count, let root):
      Self.encodeReconcile(request, set, count, root, into: &buffer)
    case .turn(let request, let isReply, let isLast, let bytes):
      Self.encodeTurn(request, isReply: isReply, isLast: isLast, bytes, into: &buffer)
    case .get, .unitBegin, .data, .unitEnd, .cancel, .pullAny, .chosenUnit, .done:
      encodeTransfer(into: &buffer)
    case .available(let added, let removed): Self.encodeAvailable(added, removed, into: &buffer)
    case .availableBlocks(let content, let ranges):
      Self.encodeAvailableBlocks(content, ranges, into: &buffer)
    case .challenge(let request, let content, let offset, let count, let nonce):
      Self.encodeChallenge(request, content, offset: offset, count: count, nonce: nonce, into: &buffer)
    case .challengeAnswer(let request, let answer):
      buffer.write(request)
      buffer.write(answer)
    }
  }
}
