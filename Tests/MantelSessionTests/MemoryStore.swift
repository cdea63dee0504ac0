import MantelCore
import MantelSession
import MantelSummary
import MantelWire
import NIOCore

/// A seeded source of choices (SplitMix64), so that a failing seed fails again.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed &+ 0x9e37_79b9_7f4a_7c15 }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func digest() -> Digest256 { Digest256(next(), next(), next(), next()) }
  /// Bytes that differ from those of another call and along their length.
  mutating func bytes(_ count: Int) -> ByteBuffer {
    var result = ByteBuffer()
    result.reserveCapacity(count)
    let pattern = (0..<127).map { _ in UInt8(truncatingIfNeeded: next()) }
    while result.readableBytes < count { result.writeBytes(pattern.prefix(count - result.readableBytes)) }
    return result
  }
}

/// What one machine can serve.
struct MemoryStore {
  var units: [UnitID: ByteBuffer] = [:]
  /// Units whose read is refused from this offset on.
  var refusals: [UnitID: (offset: UInt64, outcome: Outcome)] = [:]
  /// Entry bytes of each head of each library.
  var libraries: [MachineID: [HeadOrder: [EntryID: [UInt8]]]] = [:]
  var sets: [SetReference: SetSnapshot] = [:]
  var entriesPerPage = 40
  /// Reads longer than this are answered short.
  var longestRead = Int.max
  var proofs: [Challenge: Digest256] = [:]

  func answer(_ query: StoreQuery) -> StoreAnswer {
    switch query {
    case .snapshot(let reference): return .snapshot(sets[reference])
    case .entries(let library, let ids):
      let known = libraries[library]?.values.reduce(into: [EntryID: [UInt8]]()) { all, head in
        all.merge(head) { first, _ in first }
      }
      guard let known else { return .refused(.notHeld) }
      return .entries(ids.compactMap { known[$0] })
    case .delta(let library, let from, let to, let cursor):
      guard let new = libraries[library]?[to] else { return .refused(.unknownHead) }
      guard let old = from == .none ? [:] : libraries[library]?[from] else { return .refused(.unknownHead) }
      let changes =
        new.keys.filter { old[$0] == nil }.sorted().map { ($0, true) }
        + old.keys.filter { new[$0] == nil }.sorted().map { ($0, false) }
      let page = changes.dropFirst(Int(cursor)).prefix(entriesPerPage)
      let next = cursor + Int64(page.count)
      return .delta(
        added: page.filter(\.1).compactMap { new[$0.0] }, removed: page.filter { !$0.1 }.map(\.0),
        next: next < changes.count ? next : nil)
    case .read(let unit, let offset, let maximumBytes):
      guard let bytes = units[unit] else { return .refused(.notHeld) }
      if let refusal = refusals[unit], offset >= refusal.offset { return .refused(refusal.outcome) }
      let count = min(bytes.readableBytes - Int(offset), min(maximumBytes, longestRead))
      guard let slice = bytes.getSlice(at: bytes.readerIndex + Int(offset), length: count) else {
        return .refused(.failed)
      }
      return .read(slice, unitBytes: UInt64(bytes.readableBytes))
    case .choose(let units, let count):
      return .chosen(Array(units.filter { self.units[$0] != nil }.prefix(count)))
    case .prove(let challenge):
      return proofs[challenge].map { .proof($0) } ?? .refused(.notHeld)
    }
  }
}

// MARK: - Fixtures

enum Fixture {
  static let household = HouseholdID(Digest256(1, 1, 1, 1))
  static let alice = MachineID(Digest256(0xa, 0, 0, 0))
  static let bob = MachineID(Digest256(0xb, 0, 0, 0))
  static let carol = MachineID(Digest256(0xc, 0, 0, 0))
  static let start = Instant(nanoseconds: 1_000_000_000)

  static func signature() -> Signature {
    guard let signature = Signature(Array(repeating: 7, count: Signature.byteCount)) else {
      preconditionFailure("64 bytes are a signature")
    }
    return signature
  }

  static func signed<Record>(_ record: Record) -> Signed<Record> {
    Signed(record: record, signature: signature())
  }

  static func head(_ machine: MachineID, _ sequence: UInt64) -> Signed<Head> {
    signed(
      Head(
        library: machine, signer: machine, order: order(sequence), root: .zero, counts: LibraryCounts(),
        time: WallTime(nanoseconds: 5)))
  }

  static func record(_ machine: MachineID, _ number: UInt64) -> Signed<MachineRecord> {
    signed(
      MachineRecord(
        machine: machine, number: number, name: "kitchen", role: .full, program: "mantel 1", addresses: [],
        folders: []))
  }

  /// With `missing` ids listed: 1,000 in each of 5 libraries take more than two frames.
  static func attestation(_ machine: MachineID, _ number: UInt64, missing: Int = 0) -> Signed<Attestation> {
    var random = SeededRandom(seed: number)
    let libraries = (0..<5).map { library in
      LibraryAttestation(
        library: MachineID(Digest256(UInt64(library), 0, 0, 0)), order: order(1), heldRoot: .zero,
        missingCount: UInt64(missing), missingBytes: 0,
        missing: (0..<missing).map { _ in ContentID(random.digest()) }.sorted())
    }
    return signed(
      Attestation(
        holder: machine, number: number, time: WallTime(nanoseconds: 1),
        filesystem: FolderID(high: 1, low: 2),
        oldestReread: WallTime(nanoseconds: 1), libraries: libraries))
  }

  static func order(_ sequence: UInt64) -> HeadOrder { HeadOrder(epoch: 1, sequence: sequence) }

  static func entry(_ number: UInt64, pathBytes: Int = 20) -> Entry {
    let name = Array("photo \(number) ".utf8)
    var path = name
    while path.count < pathBytes {
      path += path.count % 200 == 199 ? Array("/".utf8) : Array("x".utf8)
    }
    return Entry(
      folder: FolderID(high: 3, low: 4), path: path, content: ContentID(Digest256(number, 9, 9, 9)), size: 10,
      mtime: 5, kind: .photo, state: .live, manifest: nil)
  }

  static func entryID(_ number: UInt64) -> EntryID { EntryID(Digest256(number, 8, 8, 8)) }

  static func library(_ numbers: some Sequence<UInt64>, pathBytes: Int = 20) -> [EntryID: [UInt8]] {
    var entries: [EntryID: [UInt8]] = [:]
    for number in numbers { entries[entryID(number)] = entry(number, pathBytes: pathBytes).canonicalBytes }
    return entries
  }

  static func unit(_ number: UInt64, _ part: UnitID.Part = .whole) -> UnitID {
    UnitID(content: ContentID(Digest256(number, 6, 6, 6)), part: part)
  }

  static func hello(
    nonce: UInt8, members: [MemberState] = [], roster: Digest256 = .zero, features: UInt64 = 0
  ) -> Hello {
    Hello(
      lowestVersion: 1, highestVersion: 1, features: features, household: household,
      nonce: Array(repeating: nonce, count: 16), instance: Array(repeating: nonce &+ 1, count: 16),
      time: WallTime(nanoseconds: 1), listeningPort: 62_683, rosterHash: roster, holdingsCount: 0,
      holdingsRoot: .zero, members: members)
  }

  static func configuration(
    _ local: MachineID, peer: MachineID, hello: Hello? = nil, limits: SessionLimits = SessionLimits()
  ) -> SessionConfiguration {
    SessionConfiguration(
      household: household, local: local, peer: peer, isDialer: local < peer,
      hello: hello ?? Self.hello(nonce: local == alice ? 1 : 2), limits: limits)
  }
}
