import MantelCatalog
import MantelCore
import MantelHousehold

/// What a machine must know to find back into its household when its catalog is lost: kept beside its copies. Everything
/// else is learned from the disk and from the others.
///
/// Canonical bytes: version u8 = 1 | machine 32 | role u16+UTF-8 | name u16+UTF-8 | statement count u32, each u16+bytes |
/// record count u16, each u32+bytes | folder count u16, each: id 16 | name u16+UTF-8 | root u16+bytes |
/// filesystem u16+bytes | removed u8 | exclude count u16, each u16+UTF-8 | address count u16, each: machine 32 (zero: one
/// that the user gave) | host u16+UTF-8 | port u16.
struct HouseholdCopy: Hashable, Sendable {
  var machine: MachineID
  var name: String
  var role: String
  var statements: [SignedStatement]
  var records: [Signed<MachineRecord>]
  var folders: [Folder]
  /// Where machines were reached, and what the user gave (nil): without discovery nothing else leads to them.
  var addresses: [Address]

  struct Address: Hashable, Sendable {
    var machine: MachineID?
    var address: NetworkAddress
  }

  private static let version: UInt8 = 1
  /// Also removed ones are remembered; more than these are not.
  private static let folderLimit = 4_096
  /// Of one folder; no folder has more.
  static let excludeLimit = 4_096
  private static let addressLimit = 1_024

  /// As the catalog has it now.
  init(_ catalog: Catalog) throws {
    func text(_ key: StoreKey, else fallback: String) throws -> String {
      try catalog.value(key).map { String(decoding: $0, as: UTF8.self) } ?? fallback
    }
    machine = catalog.machine
    name = try text(.machineName, else: "machine")
    role = try text(.role, else: "full")
    statements = try catalog.statements().map { try SignedStatement(bytes: $0) }.sorted { $0.id < $1.id }
    records = try catalog.records()
    // Those that are still there first: a cut loses the rest.
    let folders = try catalog.folders().sorted {
      ($0.isRemoved ? 1 : 0, $0.id) < ($1.isRemoved ? 1 : 0, $1.id)
    }
    self.folders = Array(folders.prefix(Self.folderLimit))
    let reached = try catalog.peerAddresses().filter { $0.lastSuccess != nil }
      .map { Address(machine: $0.machine, address: $0.address) }
      .sorted { ($0.machine ?? MachineID(.zero), $0.address) < ($1.machine ?? MachineID(.zero), $1.address) }
    let given = try catalog.fixedAddresses().map { Address(machine: nil, address: $0) }
    addresses = Array((given + reached).prefix(Self.addressLimit))
  }

  /// Fills an empty catalog.
  func restore(to catalog: Catalog) throws {
    try catalog.setValue(.household, Roster(statements).household.bytes)
    try catalog.setValue(.machineName, Array(name.utf8))
    try catalog.setValue(.role, Array(role.utf8))
    try catalog.addStatements(statements.map { ($0.id, $0.bytes) })
    for record in records { try catalog.putRecord(record) }
    for folder in folders { try catalog.putFolder(folder) }
    for known in addresses {
      if let machine = known.machine {
        try catalog.recordDial(machine, known.address, succeeded: true, at: AgentClock.wall)
      } else {
        try catalog.addFixedAddress(known.address)
      }
    }
  }

  // MARK: Bytes

  var bytes: [UInt8] {
    var writer = CanonicalWriter()
    writer.write(Self.version)
    writer.write(machine)
    writer.write(text: role)
    writer.write(text: name)
    writer.write(UInt32(statements.count))
    writer.write(statements)
    writer.write(UInt16(records.count))
    for record in records {
      let bytes = record.bytes
      writer.write(UInt32(bytes.count))
      writer.write(fixed: bytes)
    }
    writer.write(UInt16(folders.count))
    for folder in folders {
      writer.write(folder.id)
      writer.write(text: folder.name)
      writer.write(lengthPrefixed: folder.root)
      writer.write(lengthPrefixed: folder.filesystem)
      writer.write(UInt8(folder.isRemoved ? 1 : 0))
      writer.write(UInt16(folder.excludes.count))
      for exclude in folder.excludes { writer.write(text: exclude) }
    }
    writer.write(UInt16(addresses.count))
    for known in addresses {
      writer.write(known.machine ?? MachineID(.zero))
      writer.write(text: known.address.host)
      writer.write(known.address.port)
    }
    return writer.bytes
  }

  /// Refuses what is cut off, damaged, or of a later version.
  init(bytes: [UInt8]) throws(RecordError) {
    var reader = CanonicalReader(bytes)
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    machine = try reader.readIdentifier()
    role = try reader.readText(limit: Limits.nameBytes, field: "role")
    name = try reader.readText(limit: Limits.nameBytes, field: "name")
    statements = try reader.readStatements(Int(try reader.readInteger(UInt32.self)))
    records = []
    for _ in 0..<(try reader.readInteger(UInt16.self)) {
      let size = Int(try reader.readInteger(UInt32.self))
      guard size <= Signed<MachineRecord>.maximumBytes else { throw .overLimit(field: "record") }
      records.append(try Signed(bytes: try reader.readFixed(size)))
    }
    let folderCount = Int(try reader.readInteger(UInt16.self))
    guard folderCount <= Self.folderLimit else { throw .overLimit(field: "folders") }
    folders = []
    for _ in 0..<folderCount { folders.append(try Self.readFolder(&reader)) }
    let addressCount = Int(try reader.readInteger(UInt16.self))
    guard addressCount <= Self.addressLimit else { throw .overLimit(field: "addresses") }
    addresses = []
    for _ in 0..<addressCount {
      let machine: MachineID = try reader.readIdentifier()
      let host = try reader.readText(limit: Limits.hostBytes, field: "host")
      addresses.append(
        Address(
          machine: machine == MachineID(.zero) ? nil : machine,
          address: NetworkAddress(host: host, port: try reader.readInteger())))
    }
    try reader.finish()
  }

  private static func readFolder(_ reader: inout CanonicalReader) throws(RecordError) -> Folder {
    let id = try reader.readFolderID()
    let name = try reader.readText(limit: Int(UInt16.max), field: "folder name")
    let root = try reader.readLengthPrefixed(limit: Limits.pathBytes, field: "folder root")
    let filesystem = try reader.readLengthPrefixed(limit: Limits.pathBytes, field: "filesystem")
    let isRemoved = try reader.readInteger(UInt8.self) != 0
    let count = Int(try reader.readInteger(UInt16.self))
    guard count <= excludeLimit else { throw .overLimit(field: "excludes") }
    var excludes: [String] = []
    for _ in 0..<count {
      excludes.append(try reader.readText(limit: Limits.pathBytes, field: "exclude"))
    }
    return Folder(
      id: id, name: name, root: root, excludes: excludes, filesystem: filesystem, isRemoved: isRemoved)
  }
}
