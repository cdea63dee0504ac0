import MantelControl
import MantelCore
import MantelHousehold
import MantelReplication

/// The signed removal of a machine, with what its signer should know.
enum PeerRemoval {
  struct Removal: Sendable {
    var statement: SignedStatement
    var name: String
    /// Members that the removed machine had admitted; they stay.
    var admitted: [String]
  }

  /// `name`: a machine's name, or the first digits of its id.
  static func statement(
    name: String, replicator: inout Replicator, key: DeviceKey
  ) throws -> Removal {
    let roster = replicator.roster
    let named = (roster.members + roster.admitted).filter {
      (replicator.records[$0.machine]?.record.name ?? $0.name) == name
        || (name.count >= 8 && $0.machine.hex.hasPrefix(name.lowercased()))
    }
    guard let subject = named.first else {
      throw ControlError(
        code: .notFound, message: "no machine of the household is called \(name); `mantel peers` lists them")
    }
    guard named.count == 1 else {
      throw ControlError(
        code: .usage,
        message:
          "\(named.count) machines are called \(name): give the first digits of an id from `mantel peers`")
    }
    guard subject.machine != key.machine else {
      throw ControlError(code: .usage, message: "this is \(name) itself: remove it on another machine")
    }
    let head = replicator.lastHead(of: subject.machine)
    let statement = try roster.removing(
      subject.machine, lastHead: head?.order ?? .none, lastRoot: head?.root ?? .zero, by: key,
      now: AgentClock.wall)
    return Removal(
      statement: statement, name: subject.name,
      admitted: roster.members(admittedBy: subject.machine).map(\.name))
  }
}
