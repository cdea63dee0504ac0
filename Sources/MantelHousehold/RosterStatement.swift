package import MantelCore

/// One statement about who belongs to a household; a household is the set of its statements.
///
/// Canonical bytes: version u8 = 1 | kind u8 | by 32 | lamport u64 | date i64 ns | parent count u8, each 32, ascending |
/// then by kind
///   0 genesis: random 32 | household name u16+UTF-8 | machine name u16+UTF-8 | public key 91
///   1 add: public key 91 | name u16+UTF-8 | replaces u8 (0, 1), then 32 if 1
///   2 accept: id of the add 32
///   3 remove: subject 32 | epoch u64 | sequence u64 | root 32
///   4 countersign: id of the removal 32
///   5 rename: target u8 (0 household, 1 the signer) | name u16+UTF-8.
/// Its id is the SHA-256 of these bytes. Signed for `mantel/roster/1`; the household is the id of the genesis.
package struct RosterStatement: Hashable, Sendable {
  package enum RenameTarget: UInt8, Sendable {
    case household = 0
    case signer = 1
  }

  package enum Body: Hashable, Sendable {
    /// Founds the household; the signer is its first member.
    case genesis(random: [UInt8], name: String, machineName: String, publicKey: [UInt8])
    /// Admits the machine of this key; it is a member once it accepts. A newcomer that replaces a machine keeps
    /// that one's library once it is removed.
    case add(publicKey: [UInt8], name: String, replaces: MachineID?)
    /// The signer takes the admission of this id.
    case accept(StatementID)
    /// Ends the subject's membership for ever; names the newest head of its library that the signer knew.
    case remove(MachineID, head: HeadOrder, root: Digest256)
    /// A vote for a removal, in case another contradicts it.
    case countersign(StatementID)
    case rename(RenameTarget, String)
  }

  /// The signer.
  package var by: MachineID
  /// One more than the greatest of the parents'; 0 for the genesis.
  package var lamport: UInt64
  /// For display only.
  package var date: WallTime
  /// The newest statements that the signer knew, ascending: they and their ancestors are its causal past.
  package var parents: [StatementID]
  package var body: Body

  package init(
    by: MachineID, lamport: UInt64, date: WallTime, parents: [StatementID], body: Body
  ) {
    self.by = by
    self.lamport = lamport
    self.date = date
    self.parents = parents
    self.body = body
  }

  /// Parents of one statement.
  package static let maximumParents = 16
  package static let randomBytes = 32
  /// Far above any chain of statements that is kept, and far below what arithmetic can bear.
  package static let maximumLamport: UInt64 = 1 << 62

  /// The greatest epoch of a head that a removal may name: the keeper signs above it (`Roster.lastEpoch`).
  package static let largestEpoch: UInt64 = 1 << 61
  /// How many more epochs heads may be signed in for each statement that is kept. All of them together stay below
  /// `Head.largestNumber`.
  static let epochsPerStatement: UInt64 = 1 << 48

  /// SHA-256 of the canonical bytes.
  package var id: StatementID { StatementID(Digest256(hashing: canonicalBytes)) }

  /// The machine that an addition admits or a removal removes.
  package var subject: MachineID? {
    switch body {
    case .genesis(_, _, _, let key), .add(let key, _, _): MachineKey.machine(of: key)
    case .remove(let subject, _, _): subject
    case .accept, .countersign, .rename: nil
    }
  }

  /// The public key of the machine that it makes known.
  var admittedKey: [UInt8]? {
    switch body {
    case .genesis(_, _, _, let key), .add(let key, _, _): key
    case .accept, .remove, .countersign, .rename: nil
    }
  }

  var isRemoval: Bool {
    if case .remove = body { true } else { false }
  }

  /// Removals and the votes on them: never held up by the bound on ordinary statements.
  var isAboutRemoval: Bool {
    switch body {
    case .remove, .countersign: true
    case .genesis, .add, .accept, .rename: false
    }
  }
}

extension RosterStatement: SignableRecord {
  package static let version: UInt8 = 1
  package static let maximumBytes = Limits.statementBytes - Signature.byteCount
  package static let purpose = "mantel/roster/1"
  package var signer: MachineID { by }

  private var kind: UInt8 {
    switch body {
    case .genesis: 0
    case .add: 1
    case .accept: 2
    case .remove: 3
    case .countersign: 4
    case .rename: 5
    }
  }

  package func encode(to writer: inout CanonicalWriter) {
    writer.write(Self.version)
    writer.write(kind)
    writer.write(by)
    writer.write(lamport)
    writer.write(date.nanoseconds)
    writer.write(UInt8(parents.count))
    for parent in parents { writer.write(parent) }
    switch body {
    case .genesis(let random, let name, let machineName, let publicKey):
      writer.write(fixed: random)
      writer.write(text: name)
      writer.write(text: machineName)
      writer.write(fixed: publicKey)
    case .add(let publicKey, let name, let replaces):
      writer.write(fixed: publicKey)
      writer.write(text: name)
      writer.write(UInt8(replaces == nil ? 0 : 1))
      if let replaces { writer.write(replaces) }
    case .accept(let statement), .countersign(let statement):
      writer.write(statement)
    case .remove(let subject, let head, let root):
      writer.write(subject)
      writer.write(head.epoch)
      writer.write(head.sequence)
      writer.write(root)
    case .rename(let target, let name):
      writer.write(target.rawValue)
      writer.write(text: name)
    }
  }

  package init(from reader: inout CanonicalReader) throws(RecordError) {
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    let kind = try reader.readInteger(UInt8.self)
    by = try reader.readIdentifier()
    lamport = try reader.readInteger()
    guard lamport <= Self.maximumLamport else { throw .overLimit(field: "lamport") }
    date = WallTime(nanoseconds: try reader.readInteger())
    let count = Int(try reader.readInteger(UInt8.self))
    guard count <= Self.maximumParents else { throw .overLimit(field: "parents") }
    parents = []
    for _ in 0..<count {
      let parent: StatementID = try reader.readIdentifier()
      if let last = parents.last, last >= parent { throw .invalid(field: "parents") }
      parents.append(parent)
    }
    guard (kind == 0) == parents.isEmpty, (kind == 0) == (lamport == 0) else {
      throw .invalid(field: "lamport")
    }
    body = try Self.readBody(kind, from: &reader)
  }

  private static func readBody(
    _ kind: UInt8, from reader: inout CanonicalReader
  ) throws(RecordError) -> Body {
    switch kind {
    case 0:
      .genesis(
        random: try reader.readFixed(randomBytes), name: try readName(&reader),
        machineName: try readName(&reader), publicKey: try reader.readFixed(MachineKey.byteCount))
    case 1:
      .add(
        publicKey: try reader.readFixed(MachineKey.byteCount), name: try readName(&reader),
        replaces: try readReplaced(&reader))
    case 2: .accept(try reader.readIdentifier())
    case 3:
      .remove(
        try reader.readIdentifier(),
        head: HeadOrder(epoch: try reader.readInteger(), sequence: try reader.readInteger()),
        root: try reader.readDigest())
    case 4: .countersign(try reader.readIdentifier())
    case 5: .rename(try readTarget(&reader), try readName(&reader))
    default: throw .invalid(field: "kind")
    }
  }

  private static func readReplaced(_ reader: inout CanonicalReader) throws(RecordError) -> MachineID? {
    switch try reader.readInteger(UInt8.self) {
    case 0: nil
    case 1: try reader.readIdentifier()
    default: throw .invalid(field: "replaces")
    }
  }

  private static func readTarget(_ reader: inout CanonicalReader) throws(RecordError) -> RenameTarget {
    guard let target = RenameTarget(rawValue: try reader.readInteger()) else {
      throw .invalid(field: "target")
    }
    return target
  }

  private static func readName(_ reader: inout CanonicalReader) throws(RecordError) -> String {
    let name = try reader.readText(limit: Limits.nameBytes, field: "name")
    guard !name.isEmpty else { throw .invalid(field: "name") }
    return name
  }
}

/// A statement with its signature, as it travels and is stored. Holding one says nothing about its validity:
/// only a `Roster` judges it.
package struct SignedStatement: Hashable, Sendable {
  package let statement: RosterStatement
  package let signature: Signature
  package let id: StatementID

  package init(statement: RosterStatement, signature: Signature) {
    self.statement = statement
    self.signature = signature
    self.id = statement.id
  }

  /// Canonical bytes of the statement, then the signature's 64 bytes.
  package var bytes: [UInt8] { statement.canonicalBytes + signature.bytes }

  /// Takes at most `Limits.statementBytes`.
  package init(bytes: [UInt8]) throws(RecordError) {
    let signed = try Signed<RosterStatement>(bytes: bytes)
    self.init(statement: signed.record, signature: signed.signature)
  }

  /// The order in which statements are looked at: a statement stands after all its ancestors.
  static func precedes(_ left: Self, _ right: Self) -> Bool {
    if left.statement.lamport != right.statement.lamport {
      return left.statement.lamport < right.statement.lamport
    }
    if left.id != right.id { return left.id < right.id }
    return left.signature.bytes.lexicographicallyPrecedes(right.signature.bytes)
  }
}
