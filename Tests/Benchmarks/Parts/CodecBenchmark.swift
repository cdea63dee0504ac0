import MantelCore
import MantelTestSupport
import MantelWire
import NIOCore

/// Frames into bytes and back.
struct CodecBenchmark {
  let timing: Timing

  private static let dataBytes = 64 << 20
  private static let entries = 100_000
  private static let entriesPerFrame = 200

  func measure() async throws -> [PartsReport.Row] { try await [data(), entries()] }

  /// DATA frames of one 1 MiB block each time, as they are sent; beside copying the bytes there and back.
  private func data() async throws -> PartsReport.Row {
    let piece = ByteBuffer(repeating: 7, count: 65_472)
    let count = Self.dataBytes / piece.readableBytes
    let seconds = try await timing.medians([
      {
        var bytes = 0
        for _ in 0..<count {
          var buffer = ByteBuffer()
          FrameEncoder.encode(.data(RequestID(1), index: 0, piece), into: &buffer)
          var decoder = FrameDecoder()
          guard case .data(_, _, let taken) = try decoder.decode(&buffer) else {
            throw BenchmarkError(description: "not the frame that was encoded")
          }
          bytes += taken.readableBytes
        }
        guard bytes == count * piece.readableBytes else {
          throw BenchmarkError(description: "bytes are missing")
        }
      },
      {
        var bytes = 0
        for _ in 0..<count {
          var buffer = ByteBuffer()
          buffer.writeImmutableBuffer(piece)
          bytes += buffer.readSlice(length: piece.readableBytes)?.readableBytes ?? 0
        }
        guard bytes == count * piece.readableBytes else {
          throw BenchmarkError(description: "bytes are missing")
        }
      },
    ])
    return PartsReport.Row(
      work: "DATA frames", amount: count * piece.readableBytes, unit: "bytes", seconds: seconds[0],
      plain: "copying the bytes", plainSeconds: seconds[1])
  }

  /// ENTRIES frames, and the entries out of them.
  private func entries() async throws -> PartsReport.Row {
    var random = SeededGenerator(seed: 1)
    let entries = (0..<Self.entriesPerFrame).map { number in
      Entry(
        folder: FolderID(high: 1, low: 1), path: Array("2026/summer/IMG_\(number).jpg".utf8),
        content: ContentID(random.id()), size: 3_000_000, mtime: 1_700_000_000_000_000_000, kind: .photo,
        state: .live, manifest: nil)
    }
    let frames = Self.entries / entries.count
    let seconds = try await timing.medians([
      {
        for _ in 0..<frames {
          var buffer = ByteBuffer()
          FrameEncoder.encode(.entries(RequestID(1), entries.map(\.canonicalBytes)), into: &buffer)
          var decoder = FrameDecoder()
          guard case .entries(_, let bytes) = try decoder.decode(&buffer),
            try bytes.map({ try Entry(canonicalBytes: $0) }) == entries
          else { throw BenchmarkError(description: "not the entries that were encoded") }
        }
      }
    ])
    return PartsReport.Row(
      work: "ENTRIES frames", amount: frames * entries.count, unit: "entries", seconds: seconds[0])
  }
}
