import MantelCore

/// Units of which the peer may send some, of its choice, and how many of them are wanted now.
package struct PullRequest: Hashable, Sendable {
  /// At most `FrameLimits.pullUnits`, without repetitions.
  package var units: [UnitFetch]
  /// 1 to `Limits.unitsPerGet`.
  package var count: Int
  /// No further unit is chosen once those sent have so many bytes; 1 to `Limits.bytesPerGet`.
  package var bytes: Int

  package init(units: [UnitFetch], count: Int, bytes: Int) {
    self.units = units
    self.count = count
    self.bytes = bytes
  }
}

/// What is special of our open PULL_ANY; its chosen units are those of a GET.
struct OpenPull {
  let job: JobID
  /// Units that the peer may still choose, with their lengths.
  private var offered: [UnitID: UInt64]
  private var count: Int
  /// What the lengths in UNIT_BEGIN leave of the request's bytes.
  private var bytes: UInt64
  /// The part of the bytes asked for that no chosen unit stands for yet.
  private(set) var credit: UInt64

  init(_ job: JobID, _ request: PullRequest) {
    self.job = job
    offered = Dictionary(request.units.map { ($0.unit, $0.bytes) }) { first, _ in first }
    count = request.count
    bytes = UInt64(request.bytes)
    credit = bytes
  }

  /// The unit that the peer chose, and by how much it is longer than what was still asked for. Nil when it had no such
  /// choice.
  mutating func chose(_ unit: UnitID) -> (fetch: UnitFetch, excess: UInt64)? {
    guard count > 0, bytes > 0, let length = offered.removeValue(forKey: unit) else { return nil }
    count -= 1
    let covered = min(credit, length)
    credit -= covered
    return (UnitFetch(unit: unit, bytes: length), length - covered)
  }

  mutating func began(_ length: UInt64) { bytes -= min(bytes, length) }
}
