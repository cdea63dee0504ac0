import MantelCore
import MantelHousehold
import MantelSummary

@testable import MantelReplication

/// The library of peer 0, which is removed.
extension SingleMachine {
  /// The machine that is removed.
  var owner: MachineID { peers[0].machine }
  var keptHead: Head? { replicator.installedHead(of: owner) }

  /// A head of that machine's library, whoever signs it.
  func head(by key: DeviceKey, _ order: HeadOrder, _ entries: [Entry]) throws -> Signed<Head> {
    var counts = LibraryCounts()
    for entry in entries { counts.count(entry, by: 1) }
    let ids = entries.map { EntryID(of: $0).digest }.sorted()
    let root = SetSnapshot(sorted: ids, tag: .entries(household, library: owner)).root
    return try key.sign(
      Head(
        library: owner, signer: key.machine, order: order, root: root, counts: counts, time: now.wall),
      in: household)
  }

  /// A peer shows a head and serves it.
  func bring(
    _ head: Signed<Head>, added: [Entry] = [], removed: [Entry] = [], over link: LinkID
  ) throws {
    guard let job = try send(.headReceived(link, head)).deltas(link).first else {
      throw SimulationError.broken("nobody asks for \(head.record.order)")
    }
    try send(.entriesReceived(link, job, added: added, removed: removed.map { EntryID(of: $0) }))
    try send(.jobEnded(link, job, .complete))
  }

  /// This machine removes peer 0, whose library names these entries; nobody else was heard since.
  func keep(_ entries: [Entry]) throws {
    try send(.recovered)
    let link = try connect()
    try install(0, 1, entries, over: link)
    try remove(0, last: keptHead)
    try send(.linkClosed(link))
    guard replicator.keeps(owner) else { throw SimulationError.broken("it keeps nothing") }
  }

  /// The same, and it has signed its first head; over the link to peer 1.
  func takeOver(_ entries: [Entry]) throws -> LinkID {
    try keep(entries)
    let link = try connect(1)
    guard keptHead?.signer == machine else { throw SimulationError.broken("it signs nothing") }
    return link
  }
}
