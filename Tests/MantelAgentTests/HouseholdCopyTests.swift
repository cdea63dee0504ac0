import MantelCatalog
import MantelCore
import MantelHousehold
import Testing

@testable import MantelAgent

@Suite struct HouseholdCopyTests {
  private let household: MemoryHousehold
  private let ben: InstalledHome
  private let copy: HouseholdCopy

  /// Of a catalog with something of everything.
  init() async throws {
    household = try MemoryHousehold()
    ben = try await InstalledHome(memberOf: household)
    let anna = household.key
    let record = MachineRecord(
      machine: anna.machine, number: 7, name: "anna's", role: .full, program: "mantel 0.1.0",
      addresses: [NetworkAddress(host: "192.0.2.7", port: 62_683)],
      folders: [FolderName(id: FolderID(high: 1, low: 2), name: "Photos")])
    let signed = try anna.sign(record, in: household.roster.household)
    _ = try ben.addFolder("Photos")
    copy = try ben.withCatalog { catalog in
      try catalog.putRecord(signed)
      try catalog.putFolder(
        Folder(
          id: FolderID(high: 9, low: 9), name: "", root: [0x2F, 0xFF, 0x0A], excludes: [],
          filesystem: [], isRemoved: true))
      try catalog.recordDial(
        anna.machine, NetworkAddress(host: "fe80::1%eth0", port: 1), succeeded: true,
        at: WallTime(nanoseconds: 5))
      try catalog.recordDial(
        anna.machine, NetworkAddress(host: "192.0.2.9", port: 2), succeeded: false,
        at: WallTime(nanoseconds: 5))
      try catalog.addFixedAddress(NetworkAddress(host: "attic.local", port: 65_535))
      return try HouseholdCopy(catalog)
    }
  }

  @Test func itHasWhatALostCatalogBeginsWith() throws {
    #expect(copy.machine == ben.key.machine && copy.name == "ben" && copy.role == "full")
    #expect(Roster(copy.statements).hash == household.roster.hash)
    #expect(copy.records.map(\.record.name) == ["anna's"])
    // Removed folders are remembered, after the others.
    #expect(copy.folders.map(\.isRemoved) == [false, true])
    #expect(copy.folders[0].excludes == ["*.tmp", "cache/**"])
    // Where nobody answered is no way to anybody.
    #expect(
      copy.addresses == [
        HouseholdCopy.Address(machine: nil, address: NetworkAddress(host: "attic.local", port: 65_535)),
        HouseholdCopy.Address(
          machine: household.key.machine, address: NetworkAddress(host: "fe80::1%eth0", port: 1)),
      ])
  }

  @Test func itsBytesAreTheSameTwice() throws {
    let again = try HouseholdCopy(bytes: copy.bytes)
    #expect(again == copy && again.bytes == copy.bytes)
  }

  @Test func anEmptyCatalogIsFilledWithIt() throws {
    let catalog = try Catalog(inMemory: ben.key.machine)
    try copy.restore(to: catalog)
    #expect(try HouseholdCopy(catalog) == copy)
    #expect(try catalog.value(.household) == household.roster.household.bytes)
  }

  @Test func everyPrefixIsRefused() throws {
    let bytes = copy.bytes
    for count in 0..<bytes.count {
      #expect(throws: RecordError.self, "\(count) of \(bytes.count) bytes") {
        try HouseholdCopy(bytes: Array(bytes[..<count]))
      }
    }
    #expect(throws: RecordError.trailingBytes) { try HouseholdCopy(bytes: bytes + [0]) }
    #expect(throws: RecordError.unsupportedVersion(9)) { try HouseholdCopy(bytes: [9] + bytes.dropFirst()) }
  }

  /// A changed byte is refused, or is another copy: never a trap, and never one that cannot be kept again.
  @Test func everyChangedByteIsRefusedOrAnotherCopy() throws {
    let bytes = copy.bytes
    for place in bytes.indices {
      for change in [UInt8(0x01), 0x80, 0xFF] {
        var damaged = bytes
        damaged[place] ^= change
        guard let other = try? HouseholdCopy(bytes: damaged) else { continue }
        #expect(try HouseholdCopy(bytes: other.bytes) == other, "byte \(place) ^ \(change)")
      }
    }
  }

  /// An empty household's bytes: version, machine, role, name, then the counts of statements, records, folders, addresses.
  private func empty(role: [UInt8] = [], name: [UInt8] = [], _ counts: [UInt8]) -> [UInt8] {
    func text(_ bytes: [UInt8]) -> [UInt8] {
      [UInt8(bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)] + bytes
    }
    return [1] + [UInt8](repeating: 0xA, count: 32) + text(role) + text(name) + counts
  }

  @Test func everyLimitPlusOneIsRefused() throws {
    let none: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    #expect(try HouseholdCopy(bytes: empty(none)).statements.isEmpty)
    let long = [UInt8](repeating: 0x61, count: Limits.nameBytes)
    #expect(try HouseholdCopy(bytes: empty(role: long, name: long, none)).name.utf8.count == long.count)
    let refused: [(StaticString, [UInt8])] = [
      ("role", empty(role: long + [0x61], none)), ("name", empty(name: long + [0x61], none)),
      ("statements", empty([0, 0, 0x10, 0x01])), ("folders", empty([0, 0, 0, 0, 0, 0, 0x10, 0x01])),
      ("addresses", empty([0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0x01])),
      ("statement", empty([0, 0, 0, 1, 0x04, 0x01])),
      ("record", empty([0, 0, 0, 0, 0, 1, 0x7F, 0, 0, 0])),
    ]
    for (field, bytes) in refused {
      #expect(throws: RecordError.overLimit(field: field)) { try HouseholdCopy(bytes: bytes) }
    }
    #expect(throws: RecordError.invalid(field: "name")) {
      try HouseholdCopy(bytes: empty(name: [0xFF], none))
    }
  }
}
