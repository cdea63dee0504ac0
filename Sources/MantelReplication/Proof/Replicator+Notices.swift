import MantelCore
import MantelHousehold

/// What `status` says of other machines that behave as no sound one does, and of what they ask of this one.
extension Replicator {
  var growthReasons: [StatusReason] {
    heldGrowth().sorted { $0.key < $1.key }.map { .heldGrowth($0.key, entries: Int(clamping: $0.value)) }
  }

  /// Who was removed is dealt with.
  var forkReasons: [StatusReason] {
    forked.filter(roster.isMember).sorted().map { .forked($0) }
  }
}
