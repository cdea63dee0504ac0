import MantelCore
import Synchronization

/// Bytes of file data received per second, over the last few seconds: for progress.
final class TransferRates: Sendable {
  private static let window: Duration = .seconds(5)
  private let samples = Mutex<[(at: Instant, bytes: Int)]>([])

  func received(_ bytes: Int) {
    let now = AgentClock.instant
    samples.withLock { samples in
      // Samples of a tenth of a second: the list stays short at any speed.
      if let last = samples.last, now - last.at < .milliseconds(100) {
        samples[samples.count - 1].bytes += bytes
      } else {
        samples.append((now, bytes))
      }
      samples.removeAll { now - $0.at > Self.window }
    }
  }

  var bytesPerSecond: Double {
    let now = AgentClock.instant
    return samples.withLock { samples in
      samples.removeAll { now - $0.at > Self.window }
      guard let first = samples.first else { return 0 }
      let span = max((now - first.at).inSeconds, 0.5)
      return Double(samples.reduce(0) { $0 + $1.bytes }) / span
    }
  }
}
