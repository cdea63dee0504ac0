package import MantelCore
package import MantelSummary

/// Two reconcilers that talk until both are finished, and what they said.
package struct ReconcilerMeeting {
  package typealias Difference = (theirsOnly: [Digest256], mineOnly: [Digest256])

  package private(set) var opener: Reconciler
  package private(set) var responder: Reconciler
  /// What each side learnt; `theirsOnly` of one is `mineOnly` of the other.
  package private(set) var openerLearnt: Difference = ([], [])
  package private(set) var responderLearnt: Difference = ([], [])
  /// One-way messages.
  package private(set) var legs = 0
  package private(set) var bytes = 0
  /// Most ids that a single piece taught a side.
  package private(set) var largestBatch = 0
  /// Bytes of the largest piece.
  package private(set) var largestPiece = 0

  package init(_ opener: SetSnapshot, _ responder: SetSnapshot, salt: [UInt8]) {
    self.opener = Reconciler(mine: opener, isOpener: true, theirCount: nil, theirRoot: nil, salt: salt)
    self.responder = Reconciler(
      mine: responder, isOpener: false, theirCount: UInt64(opener.count), theirRoot: opener.root, salt: salt)
  }

  /// `onPiece` hears every piece, whom it came from, and whether it ended its turn.
  package mutating func run(
    pieceBytes: Int = ReconcileLimits.pieceBytes,
    onPiece: (_ fromOpener: Bool, _ bytes: [UInt8], _ isLast: Bool) -> Void = { _, _, _ in }
  ) throws {
    while !(opener.isFinished && responder.isFinished) {
      if let piece = responder.nextPiece(maximumBytes: pieceBytes) {
        note(piece)
        onPiece(false, piece.bytes, piece.isLast)
        try opener.receive(piece.bytes, isLast: piece.isLast)
      } else if let piece = opener.nextPiece(maximumBytes: pieceBytes) {
        note(piece)
        onPiece(true, piece.bytes, piece.isLast)
        try responder.receive(piece.bytes, isLast: piece.isLast)
      } else {
        try opener.receivedDone()
      }
      collect()
    }
  }

  private mutating func note(_ piece: (bytes: [UInt8], isLast: Bool)) {
    bytes += piece.bytes.count
    largestPiece = max(largestPiece, piece.bytes.count)
    legs += piece.isLast ? 1 : 0
  }

  private mutating func collect() {
    let (fromResponder, fromOpener) = (opener.takeDifferences(), responder.takeDifferences())
    openerLearnt.theirsOnly += fromResponder.theirsOnly
    openerLearnt.mineOnly += fromResponder.mineOnly
    responderLearnt.theirsOnly += fromOpener.theirsOnly
    responderLearnt.mineOnly += fromOpener.mineOnly
    largestBatch = max(
      largestBatch, fromResponder.theirsOnly.count, fromResponder.mineOnly.count, fromOpener.theirsOnly.count,
      fromOpener.mineOnly.count)
  }
}
