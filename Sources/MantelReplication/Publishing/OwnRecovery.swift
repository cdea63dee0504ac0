import MantelCore

/// This machine has published more than its catalog knows: the catalog is an old backup, or a new one after a loss.
///
/// Nothing is published meanwhile. What it did publish is fetched from whoever has it, as any other library; then the
/// history goes on in the next epoch, so that no place in the order ever gets a second head.
struct OwnRecovery: Sendable {
  /// The newest head of the own library that the guard file or a peer has shown.
  var known: Head
  /// The newest head that each member has shown, of those that the catalog lacks: the member may be gone before its entries
  /// came, and who is to be waited for has to be told.
  var shown: [MachineID: Signed<Head>] = [:]
  /// How often each member failed to bring what it has shown, since the wait for the others is over.
  var failures: [MachineID: Int] = [:]
  /// From then on it goes on with what the connected members have.
  let patienceEnds: AgentTime

  /// The newest head that one of these members has shown.
  func newest(of members: some Sequence<MachineID>) -> Signed<Head>? {
    members.lazy.compactMap { shown[$0] }.max { $0.record.order < $1.record.order }
  }
}
