import MantelWire

/// Our requests without a terminal reply, and the numbers they go by.
struct OwnRequests {
  enum Kind: Hashable {
    case get
    case pull
    case delta
    case entries
    case reconciliation
    case challenge
  }

  private(set) var kinds: [RequestID: Kind] = [:]
  private var lastNumber: UInt32 = 0

  var count: Int { kinds.count }

  /// A number that none of the open requests has.
  mutating func open(_ kind: Kind) -> RequestID {
    repeat { lastNumber &+= 1 } while kinds[RequestID(lastNumber)] != nil
    let id = RequestID(lastNumber)
    kinds[id] = kind
    return id
  }

  /// Refuses an answer to a request that is not open, or that such an answer does not fit.
  func expect(_ id: RequestID, among accepted: Kind...) throws(PeerFault) -> Kind {
    guard let kind = kinds[id] else { throw .broke("an answer to no open request") }
    guard accepted.contains(kind) else { throw .broke("an answer that does not fit its request") }
    return kind
  }

  mutating func close(_ id: RequestID) throws(PeerFault) -> Kind {
    guard let kind = kinds.removeValue(forKey: id) else { throw .broke("an end of no open request") }
    return kind
  }
}

/// The peer's requests that we have not ended with DONE.
///
/// A number is free again once the DONE was handed to the caller, because from then on the peer may use it.
struct PeerRequests {
  enum Kind: Hashable {
    case get
    case library
    case reconciliation
    case challenge
    /// Answered with DONE(unsupported) as soon as the channel takes it.
    case unsupported
  }

  private(set) var kinds: [RequestID: Kind] = [:]

  var count: Int { kinds.count }

  mutating func open(_ id: RequestID, _ kind: Kind, limits: SessionLimits) throws(PeerFault) {
    guard kinds[id] == nil else { throw .broke("a request number that is in use") }
    guard kinds.count < limits.openRequests else { throw .overLimit("too many open requests") }
    if kind == .reconciliation {
      let open = kinds.values.reduce(0) { $0 + ($1 == .reconciliation ? 1 : 0) }
      guard open < limits.openReconciliations else { throw .overLimit("too many open reconciliations") }
    }
    kinds[id] = kind
  }

  mutating func close(_ id: RequestID) {
    precondition(kinds.removeValue(forKey: id) != nil, "a request of the peer ended twice")
  }
}
