import MantelCore
import Testing

/// One canonical record of each kind, as a check that works on any kind.
struct RecordCase: Sendable, CustomTestStringConvertible {
  let name: String
  /// Round trip, then every prefix, one byte too many, another version.
  let check: @Sendable () throws -> Void
  var testDescription: String { name }

  init<Record: CanonicalRecord>(_ name: String, _ record: Record) {
    self.name = name
    check = { try Self.check(record) }
  }

  private static func check<Record: CanonicalRecord>(_ record: Record) throws {
    let bytes = record.canonicalBytes
    #expect(bytes.count <= Record.maximumBytes)
    let decoded = try Record(canonicalBytes: bytes)
    #expect(decoded == record)
    #expect(decoded.canonicalBytes == bytes)
    for length in 0..<bytes.count {
      #expect(throws: RecordError.truncated) {
        try Record(canonicalBytes: Array(bytes.prefix(length)))
      }
    }
    #expect(throws: RecordError.trailingBytes) { try Record(canonicalBytes: bytes + [0]) }
    #expect(throws: RecordError.unsupportedVersion(2)) {
      try Record(canonicalBytes: [2] + bytes.dropFirst())
    }
    #expect(throws: RecordError.overLimit(field: "record")) {
      try Record(canonicalBytes: [UInt8](repeating: 0, count: Record.maximumBytes + 1))
    }
  }
}

@Suite struct RecordTests {
  static let cases: [RecordCase] = [
    RecordCase("live entry", Entry.fixture()),
    RecordCase("empty file", Entry.fixture(size: 0, mtime: .min)),
    RecordCase("large entry", Entry.fixture(size: (4 << 20) + 1, manifest: Digest256(1, 2, 3, 4))),
    RecordCase("largest entry", Entry.fixture(size: Limits.contentBytes, manifest: Digest256(1, 2, 3, 4))),
    RecordCase("path that is not UTF-8", Entry.fixture(path: [0xff, 0x2f, 0xfe])),
    RecordCase("retired entry", Entry.fixture(state: .retired(.excluded, at: WallTime(nanoseconds: 9)))),
    RecordCase("unheld entry", Entry.fixture(state: .unheld(at: WallTime(nanoseconds: 9)))),
    RecordCase("dropped entry", Entry.fixture(path: [], state: .dropped(at: WallTime(nanoseconds: .max)))),
    RecordCase("head", Head.fixture()),
    RecordCase(
      "head of a full library",
      Head.fixture(
        counts: LibraryCounts(live: 1_000_000, retired: 1_000_000, unheld: 1_000_000, dropped: 1_000_000))
    ),
    RecordCase("machine", MachineRecord.fixture()),
    RecordCase("bare machine", MachineRecord.fixture(name: "", program: "", addresses: [], folders: [])),
    RecordCase("attestation", Attestation.fixture(libraries: [.fixture(1), .fixture(2, missing: 0)])),
    RecordCase("attestation of nothing", Attestation.fixture(libraries: [])),
    RecordCase(
      "attestation that lists none", Attestation.fixture(libraries: [.fixture(missing: 0, missingCount: 9)])),
    RecordCase("forget request", ForgetRequest.fixture()),
  ]

  @Test(arguments: cases) func codesCanonically(record: RecordCase) throws {
    try record.check()
  }

  /// Any change of any byte gives another record or none: no two encodings mean the same.
  @Test func everyBitOfAnEntryMatters() throws {
    let entry = Entry.fixture(state: .retired(.replaced, at: WallTime(nanoseconds: 77)))
    let bytes = entry.canonicalBytes
    for place in 0..<bytes.count * 8 {
      var changed = bytes
      changed[place / 8] ^= 1 << (place % 8)
      if let other = try? Entry(canonicalBytes: changed) {
        #expect(other != entry)
        #expect(other.canonicalBytes == changed)
      }
    }
  }
}

@Suite struct EntryLimitTests {
  private func refuses(_ error: RecordError, _ entry: Entry) {
    #expect(throws: error) { try Entry(canonicalBytes: entry.canonicalBytes) }
  }

  @Test func longestPathIsTakenAndOneMoreRefused() throws {
    let component = String(repeating: "a", count: Limits.pathComponentBytes)
    let path =
      Array((String(repeating: component + "/", count: 127) + component.dropLast() + "/").utf8) + [0x61]
    #expect(path.count == Limits.pathBytes)
    let entry = Entry.fixture(path: path)
    #expect(entry.canonicalBytes.count == Entry.maximumBytes)
    #expect(try Entry(canonicalBytes: entry.canonicalBytes) == entry)
    refuses(.overLimit(field: "record"), Entry.fixture(path: path + [0x61]))
  }

  @Test func sizeAndManifestBelongTogether() {
    let manifest = Digest256(1, 2, 3, 4)
    refuses(.invalid(field: "manifest"), .fixture(size: 4 << 20, manifest: manifest))
    refuses(.invalid(field: "manifest"), .fixture(size: (4 << 20) + 1))
    refuses(.overLimit(field: "size"), .fixture(size: Limits.contentBytes + 1, manifest: manifest))
    refuses(.overLimit(field: "size"), .fixture(size: .max, manifest: manifest))
  }

  @Test func onlyDroppedEntriesHaveNoPath() {
    refuses(.invalid(field: "path"), .fixture(path: []))
    refuses(.invalid(field: "path"), .fixture(state: .dropped(at: WallTime(nanoseconds: 1))))
    refuses(.invalid(field: "path"), .fixture(path: Array("../x".utf8)))
  }

  /// Kind, state, reason and state time stand before the manifest, at fixed places from the end.
  @Test(
    arguments: [
      (kind: 5, state: 0, reason: 0, time: 0, field: "kind"),
      (kind: 0, state: 4, reason: 0, time: 0, field: "state"),
      (kind: 0, state: 0, reason: 1, time: 0, field: "state"),
      (kind: 0, state: 0, reason: 0, time: 1, field: "state"),
      (kind: 0, state: 1, reason: 4, time: 1, field: "state"),
      (kind: 0, state: 2, reason: 1, time: 1, field: "state"),
      (kind: 0, state: 3, reason: 1, time: 1, field: "state"),
    ] as [(kind: UInt8, state: UInt8, reason: UInt8, time: UInt8, field: String)])
  func refusesUnknownCodes(
    bytes: (kind: UInt8, state: UInt8, reason: UInt8, time: UInt8, field: String)
  ) {
    var encoded = Entry.fixture().canonicalBytes
    let kindPlace = encoded.count - 32 - 8 - 3
    encoded.replaceSubrange(kindPlace..<kindPlace + 3, with: [bytes.kind, bytes.state, bytes.reason])
    encoded[kindPlace + 10] = bytes.time
    let expected: RecordError =
      bytes.field == "kind" ? .invalid(field: "kind") : .invalid(field: "state")
    #expect(throws: expected) { try Entry(canonicalBytes: encoded) }
  }
}

@Suite struct RecordLimitTests {
  @Test func headRefusesSequenceZeroAndTooManyEntries() {
    func refuses(_ error: RecordError, _ head: Head) {
      #expect(throws: error) { try Head(canonicalBytes: head.canonicalBytes) }
    }
    let limit = UInt64(Limits.entriesPerLibrary)
    refuses(.invalid(field: "sequence"), .fixture(order: HeadOrder(epoch: 1, sequence: 0)))
    refuses(.overLimit(field: "entries"), .fixture(counts: LibraryCounts(live: limit + 1)))
    refuses(.overLimit(field: "entries"), .fixture(counts: LibraryCounts(live: limit, dropped: 1)))
    refuses(
      .overLimit(field: "entries"), .fixture(counts: LibraryCounts(live: .max, retired: .max)))
  }

  @Test func machineRecordTakesItsLimitsAndNoMore() throws {
    func refuses(_ error: RecordError, _ record: MachineRecord) {
      #expect(throws: error) { try MachineRecord(canonicalBytes: record.canonicalBytes) }
    }
    func text(_ count: Int) -> String { String(repeating: "x", count: count) }
    func addresses(_ count: Int, host: Int) -> [NetworkAddress] {
      Array(repeating: NetworkAddress(host: text(host), port: 1), count: count)
    }
    func folders(_ count: Int, name: Int) -> [FolderName] {
      Array(repeating: FolderName(id: folderID(1), name: text(name)), count: count)
    }
    let name = Limits.nameBytes
    let largest = MachineRecord.fixture(
      name: text(name), program: text(name),
      addresses: addresses(Limits.addresses, host: Limits.hostBytes),
      folders: folders(Limits.folders, name: name))
    #expect(try MachineRecord(canonicalBytes: largest.canonicalBytes) == largest)
    refuses(.overLimit(field: "name"), .fixture(name: text(name + 1)))
    refuses(.overLimit(field: "program"), .fixture(program: text(name + 1)))
    refuses(.overLimit(field: "addresses"), .fixture(addresses: addresses(Limits.addresses + 1, host: 1)))
    refuses(.overLimit(field: "host"), .fixture(addresses: addresses(1, host: Limits.hostBytes + 1)))
    refuses(.overLimit(field: "folders"), .fixture(folders: folders(Limits.folders + 1, name: 1)))
    refuses(.overLimit(field: "folder"), .fixture(folders: folders(1, name: name + 1)))
  }

  @Test func machineRecordRefusesBadRoleAndText() {
    let namePlace = 1 + 32 + 8
    var bytes = MachineRecord.fixture(name: "x").canonicalBytes
    bytes[namePlace + 2] = 0xff
    #expect(throws: RecordError.invalid(field: "name")) { try MachineRecord(canonicalBytes: bytes) }
    bytes[namePlace + 2] = 0x78
    bytes[namePlace + 3] = 2
    #expect(throws: RecordError.invalid(field: "role")) { try MachineRecord(canonicalBytes: bytes) }
  }

  @Test func attestationTakesItsLimitsAndNoMore() throws {
    func refuses(_ error: RecordError, _ libraries: [LibraryAttestation]) {
      let bytes = Attestation.fixture(libraries: libraries).canonicalBytes
      #expect(throws: error) { try Attestation(canonicalBytes: bytes) }
    }
    let full = LibraryAttestation.fixture(missing: Limits.attestedMissing)
    let long = Attestation.fixture(libraries: [full])
    #expect(try Attestation(canonicalBytes: long.canonicalBytes) == long)
    let wide = Attestation.fixture(libraries: (0..<Limits.machines).map { .fixture(UInt64($0)) })
    #expect(try Attestation(canonicalBytes: wide.canonicalBytes) == wide)
    refuses(
      .overLimit(field: "libraries"),
      Array(repeating: .fixture(missing: 0), count: Limits.machines + 1))
    refuses(.overLimit(field: "missing"), [.fixture(missing: Limits.attestedMissing + 1)])
    refuses(.invalid(field: "missing"), [.fixture(missing: 2, missingCount: 1)])
    refuses(.invalid(field: "libraries"), [.fixture(1), .fixture(1)])
    refuses(.invalid(field: "libraries"), [.fixture(2), .fixture(1)])
    for places in [[1, 0], [1, 1]] {
      var library = LibraryAttestation.fixture(missing: 2)
      library.missing = places.map { library.missing[$0] }
      refuses(.invalid(field: "missing"), [library])
    }
  }

  @Test func forgetRequestTakesItsLimitsAndNoMore() throws {
    let largest = ForgetRequest.fixture(contents: Limits.idsPerFrame)
    #expect(try ForgetRequest(canonicalBytes: largest.canonicalBytes) == largest)
    let over = ForgetRequest.fixture(contents: Limits.idsPerFrame + 1).canonicalBytes
    #expect(throws: RecordError.overLimit(field: "contents")) {
      try ForgetRequest(canonicalBytes: over)
    }
    var bytes = ForgetRequest.fixture().canonicalBytes
    bytes[1 + 32 + 8 + 8] = 2
    #expect(throws: RecordError.invalid(field: "withdrawn")) {
      try ForgetRequest(canonicalBytes: bytes)
    }
  }
}

@Suite struct SignedTests {
  @Test func coversPurposeHouseholdAndRecord() throws {
    let household = HouseholdID(Digest256(9, 9, 9, 9))
    let head = Head.fixture()
    #expect(
      head.signedBytes(in: household)
        == Array("mantel/head/1\0".utf8) + household.bytes + head.canonicalBytes)
    let purposes = [
      Head.purpose, MachineRecord.purpose, Attestation.purpose, ForgetRequest.purpose,
    ]
    #expect(Set(purposes).count == purposes.count)
  }

  @Test func travelsAsRecordThenSignature() throws {
    let signature = try #require(Signature(Array(0..<64)))
    let signed = Signed(record: Head.fixture(), signature: signature)
    let bytes = signed.bytes
    #expect(bytes == signed.record.canonicalBytes + Array(0..<64))
    #expect(try Signed<Head>(bytes: bytes) == signed)
    for length in 0..<bytes.count {
      #expect(throws: RecordError.truncated) { try Signed<Head>(bytes: Array(bytes.prefix(length))) }
    }
    #expect(throws: RecordError.trailingBytes) { try Signed<Head>(bytes: bytes + [0]) }
    #expect(throws: RecordError.overLimit(field: "record")) {
      try Signed<Head>(bytes: [UInt8](repeating: 0, count: Signed<Head>.maximumBytes + 1))
    }
    #expect(Signature(Array(0..<63)) == nil)
    #expect(Signature(Array(0..<65)) == nil)
  }
}
