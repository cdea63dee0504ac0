package import MantelCore
import MantelHousehold
import MantelSummary

/// What another machine's user asks to be forgotten of the own library.
package struct OpenForgetRequest: Hashable, Sendable {
  package var requester: MachineID
  /// Contents that the own library still names.
  package var contents: [ContentID]
}

/// Requests to forget: a machine forgets its own entries only, and asks the others whose libraries name the same bytes.
///
/// A request spreads once, like other signed records, and is told again to a machine that connects while its library still
/// names what is asked for. Its user grants or declines it; nothing happens by itself.
extension Replicator {
  mutating func askToForget(
    _ wanted: [ContentID], isWithdrawn: Bool, now: Now
  ) throws(StoreError) {
    let named = wanted.filter { content in
      contents.byLibrary.keys.contains { $0 != machine && contents.isWanted(content, in: $0) }
    }.sorted()
    var number =
      try store.forgetRequests().filter { $0.request.record.requester == machine }
      .map(\.request.record.number).max() ?? 0
    var rest = named[...]
    while !rest.isEmpty {
      number += 1
      let request = ForgetRequest(
        requester: machine, number: number, time: now.wall, isWithdrawn: isWithdrawn,
        contents: Array(rest.prefix(Limits.idsPerFrame)))
      rest = rest.dropFirst(Limits.idsPerFrame)
      guard let signed = sign(request) else { return }
      try store.addForgetRequest(signed)
      sendToAll(.announceForgetRequest(signed))
    }
  }

  mutating func received(_ request: Signed<ForgetRequest>, from link: LinkID) throws(StoreError) {
    let record = request.record
    guard guests[link] == nil, record.requester != machine, roster.isMember(record.requester),
      roster.verify(request)
    else { return }
    let known = try store.forgetRequests().filter { $0.request.record.requester == record.requester }
    guard known.count < settings.requestsKept,
      !known.contains(where: { $0.request.record.number == record.number })
    else { return }
    try store.addForgetRequest(request)
    sendToAll(except: link, .announceForgetRequest(request))
  }

  /// To a machine that connects: what is asked of it, and may not have reached it.
  mutating func askAgain(over link: LinkID) throws(StoreError) {
    guard let peer = links[link]?.machine else { return }
    for stored in try store.forgetRequests() where stored.request.record.requester == machine {
      guard stored.request.record.contents.contains(where: { contents.isWanted($0, in: peer) }) else {
        continue
      }
      actions.append(.link(link, .announceForgetRequest(stored.request)))
    }
  }

  /// By requester; what was withdrawn later, decided, or is named no more is left out.
  package func openForgetRequests() throws(StoreError) -> [OpenForgetRequest] {
    var asked: [MachineID: Set<ContentID>] = [:]
    for stored in try store.forgetRequests() where stored.request.record.requester != machine {
      let record = stored.request.record
      if record.isWithdrawn || stored.decision != .open {
        asked[record.requester]?.subtract(record.contents)
      } else {
        asked[record.requester, default: []].formUnion(record.contents)
      }
    }
    return asked.keys.sorted().compactMap { requester in
      let named = (asked[requester] ?? []).filter { contents.isWanted($0, in: machine) }.sorted()
      return named.isEmpty || !roster.isMember(requester)
        ? nil : OpenForgetRequest(requester: requester, contents: named)
    }
  }

  /// Entries of the own library that name a content: what a granted request forgets.
  package func ownEntries(of content: ContentID) throws(StoreError) -> [InstalledEntry] {
    try store.entries(machine, of: content)
  }

  /// The user of this machine has decided on all that a machine asks.
  package func decideForgetRequests(
    of requester: MachineID, _ decision: StoredForgetRequest.Decision
  ) throws(StoreError) {
    for stored in try store.forgetRequests()
    where stored.request.record.requester == requester && stored.decision == .open {
      try store.decideForgetRequest(requester, number: stored.request.record.number, decision)
    }
  }
}
