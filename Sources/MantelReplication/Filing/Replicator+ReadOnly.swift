import MantelCore

/// A replica that can only be read: mounted so, or its filesystem has failed. Nothing is fetched, which could not be kept and
/// would be fetched again and again, and nothing is filed, until the agent finds that it can be written again.
extension Replicator {
  /// Known by a write that failed; over when one goes through that the agent tries regularly.
  package var isReplicaReadOnly: Bool { filing.isReadOnly }

  mutating func becameReadOnly() {
    guard !filing.isReadOnly else { return }
    filing.isReadOnly = true
    actions.append(.warn(.replicaReadOnly))
  }

  /// What failed rests as long as it would anyway: a part of the replica may still be read-only.
  mutating func becameWritable() {
    guard filing.isReadOnly else { return }
    filing.isReadOnly = false
    transfers.isWorthLooking = true
  }
}

extension FilingResult {
  /// A sync tells it too: what was not on the disk by then is lost.
  var isReadOnly: Bool {
    guard case .failed(let failure) = self else { return false }
    // EROFS.
    return failure.code == .readOnly || failure.code == .sync && failure.errno == 30
  }
}

extension RecallOutcome {
  init(_ failure: StagingFailure) {
    switch failure {
    case .noSpace: self = .noSpace
    case .readOnly: self = .readOnly
    case .other: self = .refused
    }
  }
}
