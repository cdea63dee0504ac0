import MantelCore

/// Bytes of what is missing, for status: exact while it is little, else from a sum or a sample that is some time old, so
/// that asking for the status does not cost what copying does. Counts of files are always exact.
struct SizeEstimates: Sendable {
  private struct Sum: Sendable {
    var files: Int
    var bytes: UInt64
    var at: Instant
  }
  /// Of what is missing here, by owner.
  private var missing: [MachineID: Sum] = [:]
  /// The mean size of a library's contents, at a head.
  private var means: [MachineID: (order: HeadOrder, bytes: Double)] = [:]

  /// A sum over many files counts this long; for the files that have come since it is scaled.
  private static let life: Duration = .seconds(10)

  /// The bytes of so many missing files by the last sum; nil when they have to be summed again.
  func missingBytes(of owner: MachineID, files: Int, now: Instant) -> UInt64? {
    guard let known = missing[owner], known.files > 0, now - known.at < Self.life else { return nil }
    return UInt64(Double(known.bytes) / Double(known.files) * Double(files))
  }

  mutating func summed(_ bytes: UInt64, of owner: MachineID, files: Int, now: Instant) {
    missing[owner] = Sum(files: files, bytes: bytes, at: now)
  }

  func mean(of owner: MachineID, at order: HeadOrder) -> Double? {
    means[owner].flatMap { $0.order == order ? $0.bytes : nil }
  }

  mutating func sampled(_ bytes: Double, of owner: MachineID, at order: HeadOrder) {
    means[owner] = (order, bytes)
  }
}
