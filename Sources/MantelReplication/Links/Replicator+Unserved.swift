import MantelCore
import MantelHousehold

/// Newer heads that were shown here and whose entries nobody who is there can bring.
///
/// Whoever signed such a head may know of it no more: its home is an older image of itself again. Then it signs another only
/// when something changes, and by a clock that went back maybe one of a lower order, which nobody takes in. So the owner
/// is shown it, as former heads are (see `Orphans`): it finds its catalog behind, and goes on in a later epoch.
extension Replicator {
  /// Once over each connection, and not before the owner has all that this machine has installed: what can be served goes first.
  mutating func showUnserved(_ head: Signed<Head>) {
    let (owner, order) = (head.record.library, head.record.order)
    let publisher = roster.publisher(of: owner)
    for id in links.keys.sorted() {
      guard let link = links[id], link.machine == publisher, link.shownUnserved < order,
        link.heads[owner] ?? .none >= libraries[owner]?.order ?? .none
      else { continue }
      links[id]?.shownUnserved = order
      actions.append(.link(id, .announceHead(head)))
    }
  }

  /// A restart forgets the head itself; that it is still to come is told by what is staged of it. An owner that connects and
  /// has not got as far does not know of it either, and nobody can show it what was forgotten here: then nothing is waited
  /// for, unless another member shows it.
  mutating func judgeStaging(of owner: MachineID, which claimed: HeadOrder) {
    guard let staging = libraries[owner]?.staging, claimed < staging else { return }
    libraries[owner]?.staging = nil
  }
}
