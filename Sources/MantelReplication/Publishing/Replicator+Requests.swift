package import MantelCore
import MantelHousehold
import MantelSummary

/// What another machine's user asks to be forgotten of the own library.
package struct OpenForgetRequest: Hashable, Sendable {
  package var requester: MachineID
  /// Contents that the own library still names.
  package var contents: [ContentID]
  /// Of the requests that nobody has decided.
  package var numbers: [UInt64]
}

/// Requests to forget: a machine forgets its own entries only, and asks the others whose libraries name the same bytes.
///
/// A request spreads once, like other signed records, and is told again to a machine that connects while its library still
/// names what is asked for. Its user grants or declines it; nothing happens by itself. What a removed machine left nobody is
/// asked for: its keeper forgets that by that machine's name alone, and a request names no machine. The newest requests of a
/// machine are kept, whatever became of them: an old one goes before the word that takes it back.
extension Replicator {
  mutating func askToForget(
    _ wanted: [ContentID], isWithdrawn: Bool, now: Now
  ) throws(StoreError) {
    let named = wanted.filter { content in
      // Whoever keeps the bytes under another name of its own does not ask others for theirs.
      (isWithdrawn || !contents.isWanted(content, in: machine))
        && contents.byLibrary.keys.contains {
          $0 != machine && roster.isMember($0) && contents.isWanted(content, in: $0)
        }
    }.sorted()
    // A catalog that was lost knows no numbers: the time goes on.
    var number = UInt64(max(0, now.wall.nanoseconds / 1_000_000))
    for known in try store.forgetRequests(of: machine) { number = max(number, known.request.record.number) }
    var rest = named[...]
    while !rest.isEmpty {
      number += 1
      let request = ForgetRequest(
        requester: machine, number: number, time: now.wall, isWithdrawn: isWithdrawn,
        contents: Array(rest.prefix(Limits.idsPerFrame)))
      rest = rest.dropFirst(Limits.idsPerFrame)
      guard let signed = sign(request) else { return }
      guard try store.addForgetRequest(signed, keeping: settings.requestsKept) else { return }
      sendToAll(.announceForgetRequest(signed))
    }
  }

  mutating func received(_ request: Signed<ForgetRequest>, from link: LinkID) throws(StoreError) {
    let record = request.record
    guard guests[link] == nil, record.requester != machine, roster.isMember(record.requester),
      roster.verify(request)
    else { return }
    guard try store.addForgetRequest(request, keeping: settings.requestsKept) else { return }
    sendToAll(except: link, .announceForgetRequest(request))
  }

  /// To a machine that connects: what is asked of it, and may not have reached it.
  mutating func askAgain(over link: LinkID) throws(StoreError) {
    guard let peer = links[link]?.machine else { return }
    for stored in try store.forgetRequests(of: machine) {
      guard stored.request.record.contents.contains(where: { contents.isWanted($0, in: peer) }) else {
        continue
      }
      actions.append(.link(link, .announceForgetRequest(stored.request)))
    }
  }

  /// By requester; what was withdrawn later, decided, or is named no more is left out.
  package func openForgetRequests() throws(StoreError) -> [OpenForgetRequest] {
    var asked: [MachineID: (contents: Set<ContentID>, numbers: [UInt64])] = [:]
    for stored in try store.forgetRequests(of: nil) where stored.request.record.requester != machine {
      let record = stored.request.record
      if record.isWithdrawn || stored.decision != .open {
        asked[record.requester]?.contents.subtract(record.contents)
      } else {
        asked[record.requester, default: ([], [])].contents.formUnion(record.contents)
        asked[record.requester]?.numbers.append(record.number)
      }
    }
    return asked.keys.sorted().compactMap { requester in
      guard let (all, numbers) = asked[requester], roster.isMember(requester) else { return nil }
      let named = all.filter { contents.isWanted($0, in: machine) }.sorted()
      return named.isEmpty
        ? nil : OpenForgetRequest(requester: requester, contents: named, numbers: numbers)
    }
  }

  /// Entries of the own library that name a content: what a granted request forgets.
  package func ownEntries(of content: ContentID) throws(StoreError) -> [InstalledEntry] {
    try store.entries(machine, of: content)
  }

  /// The user of this machine has decided on requests of a machine.
  package func decideForgetRequests(
    of requester: MachineID, _ numbers: [UInt64], _ decision: StoredForgetRequest.Decision
  ) throws(StoreError) {
    for number in numbers { try store.decideForgetRequest(requester, number: number, decision) }
  }
}
