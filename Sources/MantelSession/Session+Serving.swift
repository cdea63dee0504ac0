import MantelCore
import MantelWire
import NIOCore

extension Session {
  mutating func receivedGet(_ id: RequestID, _ units: [UnitID]) throws(PeerFault) {
    guard !units.isEmpty, units.count <= Limits.unitsPerGet else {
      throw .broke("a GET of too few or many units")
    }
    try peerRequests.open(id, .get, limits: limits)
    serving.add(id, units)
  }

  mutating func receivedPull(
    _ id: RequestID, count: Int, bytes: UInt64, _ units: [UnitID]
  ) throws(PeerFault) {
    guard features & Feature.lateBinding != 0 else {
      try peerRequests.open(id, .unsupported, limits: limits)
      unsupported.append(id)
      return
    }
    guard (1...FrameLimits.pullUnits).contains(units.count), (1...Limits.unitsPerGet).contains(count),
      bytes > 0
    else { throw .broke("a PULL_ANY of too little or too much") }
    try peerRequests.open(id, .get, limits: limits)
    serving.add(id, ServedPull(offers: units, count: count, bytes: bytes))
  }

  mutating func askForChoices() {
    while let choice = serving.nextChoice() {
      ask(.choose(choice.offers, count: choice.count), for: .choice(choice.ticket))
    }
  }

  mutating func answeredChoice(_ ticket: UnitReading.ChoiceTicket, _ answer: StoreAnswer) {
    switch answer {
    case .chosen(let units): serving.chose(ticket, units)
    case .refused(let outcome): serving.refusedChoice(ticket, outcome)
    case .read, .snapshot, .delta, .entries, .proof:
      preconditionFailure("an answer to another question than a choice")
    }
  }

  mutating func askForReads() {
    while let read = serving.nextRead() {
      ask(
        .read(read.unit, offset: read.offset, maximumBytes: read.ticket.asked), for: .read(read.ticket))
    }
  }

  mutating func answeredRead(_ ticket: UnitReading.Ticket, _ answer: StoreAnswer) {
    switch answer {
    case .read(let buffer, let unitBytes): serving.answered(ticket, buffer, unitBytes: unitBytes)
    case .refused(let outcome): serving.refused(ticket, outcome)
    case .snapshot, .delta, .entries, .chosen, .proof:
      preconditionFailure("an answer to another question than a read")
    }
  }

  /// The next frame of the peer's GETs; sending makes room for further reads.
  mutating func nextData() -> Frame? {
    guard let frame = serving.nextFrame() else { return nil }
    switch frame {
    case .data(_, _, let bytes): counters.dataBytesSent += UInt64(bytes.readableBytes)
    case .done(let id, _): peerRequests.close(id)
    default: break
    }
    askForChoices()
    // The frames that begin a unit make no room, and nothing was left to ask for before.
    if case .unitBegin = frame { return frame }
    askForReads()
    return frame
  }
}
