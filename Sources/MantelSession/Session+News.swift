import MantelCore
import MantelWire

extension Session {
  mutating func announce(_ add: (inout NewsQueue) -> Void) {
    guard !isClosed else { return }
    add(&news)
  }

  mutating func announceForgetRequest(_ request: Signed<ForgetRequest>) {
    guard !isClosed, !isOpen || features & Feature.forgetRequests != 0 else { return }
    news.add(request)
  }

  /// Ids in frames of at most `Limits.idsPerFrame`, those that are gone first: asking for them would be in vain.
  mutating func announceAvailable(added: [ContentID], removed: [ContentID]) {
    for ids in removed.runs(of: Limits.idsPerFrame) where !isClosed {
      announceAvailability(.available(added: [], removed: Array(ids)), ids: ids.count)
    }
    for ids in added.runs(of: Limits.idsPerFrame) where !isClosed {
      announceAvailability(.available(added: Array(ids), removed: []), ids: ids.count)
    }
  }

  mutating func announceAvailable(_ content: ContentID, _ ranges: [BlockRange]) {
    for run in ranges.runs(of: FrameLimits.blockRanges) where !isClosed {
      announceAvailability(.availableBlocks(content, Array(run)), ids: 1 + run.count / 4)
    }
  }

  private mutating func announceAvailability(_ frame: Frame, ids: Int) {
    if !news.add(availability: frame, ids: ids) { tooMuchNews() }
  }

  /// A peer that does not read would make us keep news for ever.
  private mutating func tooMuchNews() {
    close(.overLimit, message: "the peer does not take its news", tellsPeer: true)
  }

  mutating func receivedAttestation(part: UInt8, isLast: Bool, _ piece: [UInt8]) throws(PeerFault) {
    do {
      guard let whole = try attestationAssembler.add(part: part, isLast: isLast, piece) else { return }
      deliver(.attestation(whole))
    } catch {
      throw .broke("a malformed attestation: \(error)")
    }
  }
}

extension Array {
  /// Consecutive runs of at most `size` elements; none for none.
  func runs(of size: Int) -> [ArraySlice<Element>] {
    stride(from: 0, to: count, by: size).map { self[$0..<Swift.min(count, $0 + size)] }
  }
}
