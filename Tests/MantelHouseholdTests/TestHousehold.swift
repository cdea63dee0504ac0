import MantelCore

@testable import MantelHousehold

/// Machines with their keys, each with the statements that reached it.
struct TestHousehold {
  private(set) var keys: [DeviceKey]
  private(set) var rosters: [Roster]
  private var clock: Int64 = 0

  /// Founds with machine 0, which then admits the others in turn; everyone knows everything.
  init(machines: Int) throws {
    keys = (0..<machines).map { _ in DeviceKey() }
    let founding = try Roster.found(
      name: "home", machineName: "m0", key: keys[0], random: [UInt8](repeating: 9, count: 32),
      now: WallTime(nanoseconds: 0))
    rosters = [Roster(founding)]
    for index in 1..<max(machines, 1) {
      rosters.append(rosters[0])
      try join(index, admittedBy: 0)
    }
    synchronise()
  }

  func id(_ index: Int) -> MachineID { keys[index].machine }

  func name(_ machine: MachineID) -> Int? { keys.firstIndex { $0.machine == machine } }

  /// Indices of the members as machine `index` sees them.
  func members(at index: Int) -> Set<Int> { Set(rosters[index].members.compactMap { name($0.machine) }) }

  func members(of statements: [SignedStatement]) -> Set<Int> {
    Set(Roster(statements).members.compactMap { name($0.machine) })
  }

  var everything: [SignedStatement] {
    var all = rosters[0]
    for roster in rosters { _ = all.merge(roster.statements) }
    return all.statements
  }

  var now: WallTime { WallTime(nanoseconds: clock) }

  /// Everyone learns everything; nobody votes.
  mutating func synchronise(_ indices: [Int]? = nil) {
    let indices = indices ?? Array(rosters.indices)
    var all: [SignedStatement] = []
    var seen = Set<StatementID>()
    for index in indices { all += rosters[index].statements.filter { seen.insert($0.id).inserted } }
    for index in indices { _ = rosters[index].merge(all) }
  }

  mutating func give(_ statements: [SignedStatement], to index: Int) {
    _ = rosters[index].merge(statements)
  }

  /// What `source` has reaches `index`, which votes then, as its agent would.
  mutating func deliver(from source: Int, to index: Int) throws {
    _ = rosters[index].merge(rosters[source].statements)
    let votes = try rosters[index].countersigning(by: keys[index], now: now)
    _ = rosters[index].merge(votes)
  }

  /// A machine that knows nothing yet.
  mutating func addMachine() -> Int {
    keys.append(DeviceKey())
    rosters.append(Roster([]))
    return keys.count - 1
  }

  @discardableResult
  mutating func admit(_ subject: Int, by index: Int, replaces: Int? = nil) throws -> SignedStatement {
    clock += 1
    let statement = try rosters[index].admitting(
      subject: id(subject), publicKey: keys[subject].publicKey, name: "m\(subject)",
      replaces: replaces.map(id), by: keys[index], now: now)
    _ = rosters[index].merge([statement])
    return statement
  }

  /// Admits, and lets the newcomer accept at once; the admitter knows it then.
  mutating func join(_ subject: Int, admittedBy index: Int, replaces: Int? = nil) throws {
    try admit(subject, by: index, replaces: replaces)
    _ = rosters[subject].merge(rosters[index].statements)
    let accept = try rosters[subject].accepting(by: keys[subject], now: now)
    _ = rosters[subject].merge([accept])
    _ = rosters[index].merge([accept])
  }

  @discardableResult
  mutating func remove(_ subject: Int, by index: Int, head: UInt64 = 0) throws -> SignedStatement {
    clock += 1
    let statement = try rosters[index].removing(
      id(subject), lastHead: HeadOrder(epoch: head, sequence: head), lastRoot: .zero,
      by: keys[index], now: now)
    _ = rosters[index].merge([statement])
    return statement
  }

  /// A statement that no honest agent makes.
  func forge(
    by index: Int, parents: [SignedStatement], _ body: RosterStatement.Body, lamport: UInt64? = nil
  ) throws -> SignedStatement {
    let newest = parents.map(\.statement.lamport).max() ?? 0
    let statement = RosterStatement(
      by: id(index), lamport: lamport ?? newest + 1, date: now, parents: parents.map(\.id).sorted(),
      body: body)
    return SignedStatement(
      statement: statement,
      signature: try keys[index].signature(
        over: statement.signedBytes(in: rosters[0].household)))
  }
}

/// All orders of the items.
func permutations<Item>(_ items: [Item]) -> [[Item]] {
  guard let first = items.first else { return [[]] }
  return permutations(Array(items.dropFirst())).flatMap { rest in
    (0...rest.count).map { position in
      var order = rest
      order.insert(first, at: position)
      return order
    }
  }
}
