import MantelCore
import MantelWire
import NIOCore

extension Session {
  mutating func fetch(_ units: [UnitFetch]) {
    guard !isClosed else {
      for unit in units.map(\.unit).uniqued() { deliver(.unitEnded(unit, .cancelled)) }
      return
    }
    for unit in fetching.add(units) { deliver(.unitEnded(unit, .busy)) }
  }

  mutating func cancelFetch(_ units: [UnitID]) {
    let (ended, gets) = fetching.cancel(units)
    for unit in ended { deliver(.unitEnded(unit, .cancelled)) }
    for get in gets { send(.cancel(get)) }
  }

  mutating func pull(_ job: JobID, _ request: PullRequest) {
    precondition(
      (1...FrameLimits.pullUnits).contains(request.units.count)
        && (1...Limits.unitsPerGet).contains(request.count)
        && (1...Limits.bytesPerGet).contains(request.bytes), "a pull of too little or too much")
    guard !isClosed else { return deliver(.jobEnded(job, .cancelled)) }
    if !fetching.add(job, request) { deliver(.jobEnded(job, .busy)) }
  }

  mutating func startPulls() {
    while let (job, request) = fetching.nextPull() {
      guard features & Feature.lateBinding != 0 else {
        deliver(.jobEnded(job, .unsupported))
        continue
      }
      let id = ownRequests.open(.pull)
      fetching.opened(id, job, request)
      send(
        .pullAny(
          id, count: UInt16(request.count), bytes: UInt32(request.bytes), request.units.map(\.unit)))
    }
  }

  mutating func receivedChosenUnit(_ id: RequestID, index: UInt16, _ unit: UnitID) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .pull)
    do {
      if let chosen = try fetching.chose(id, place: Int(index), unit) {
        deliver(.unitChosen(chosen.job, chosen.unit))
      }
    } catch { throw blame(error) }
  }

  mutating func startGets() {
    while let units = fetching.nextGet() {
      let id = ownRequests.open(.get)
      fetching.opened(id, units)
      send(.get(id, units.map(\.unit)))
    }
  }

  mutating func receivedUnitBegin(_ id: RequestID, index: UInt16, bytes: UInt64) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .get, .pull)
    do {
      let (unit, isAsAsked) = try fetching.began(id, place: Int(index), bytes: bytes)
      guard let unit else { return }
      if isAsAsked { deliver(.unitBegan(unit, bytes: bytes)) } else { takeAsNotHeld(unit) }
    } catch { throw blame(error) }
  }

  mutating func receivedData(_ id: RequestID, index: UInt16, _ bytes: ByteBuffer) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .get, .pull)
    do {
      let unit = try fetching.received(id, place: Int(index), count: bytes.readableBytes)
      counters.dataBytesReceived += UInt64(bytes.readableBytes)
      if let unit { deliver(.unitData(unit, bytes)) }
    } catch { throw blame(error) }
  }

  mutating func receivedUnitEnd(_ id: RequestID, index: UInt16, _ outcome: Outcome) throws(PeerFault) {
    _ = try ownRequests.expect(id, among: .get, .pull)
    do {
      if let unit = try fetching.ended(id, place: Int(index), outcome) {
        deliver(.unitEnded(unit, outcome))
      }
    } catch { throw blame(error) }
  }

  /// Units without an end of their own share the end of their request.
  mutating func receivedDone(ofGet id: RequestID, _ outcome: Outcome) throws(PeerFault) {
    let (unended, wanted, job) = fetching.closed(id)
    let isBroken = outcome == .complete && unended > 0
    for unit in wanted { deliver(.unitEnded(unit, isBroken ? .failed : outcome)) }
    if let job { deliver(.jobEnded(job, isBroken ? .failed : outcome)) }
    if isBroken { throw .broke("a GET that is complete without all of its units") }
  }

  /// The peer has another unit under that name. Its bytes are passed over.
  private mutating func takeAsNotHeld(_ unit: UnitID) {
    let (_, gets) = fetching.cancel([unit])
    deliver(.unitEnded(unit, .notHeld))
    for get in gets { send(.cancel(get)) }
  }

  /// The unit that the peer got wrong ends as failed; all others end with the connection.
  private mutating func blame(_ fault: UnitFault) -> PeerFault {
    if let unit = fault.unit {
      _ = fetching.cancel([unit])
      deliver(.unitEnded(unit, .failed))
    }
    return .broke(fault.message)
  }
}
