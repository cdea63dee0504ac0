import MantelCore
import NIOCore
import Testing

@testable import MantelWire

/// A seeded generator: the same seed gives the same run.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}

/// A digest of 32 equal bytes, as the vectors of protocol.md use them.
func digest(_ byte: UInt8) -> Digest256 {
  let word = UInt64(byte) &* 0x0101_0101_0101_0101
  return Digest256(word, word, word, word)
}

func machine(_ byte: UInt8) -> MachineID { MachineID(digest(byte)) }
func content(_ byte: UInt8) -> ContentID { ContentID(digest(byte)) }
func entryID(_ byte: UInt8) -> EntryID { EntryID(digest(byte)) }
func order(_ epoch: UInt64, _ sequence: UInt64) -> HeadOrder { HeadOrder(epoch: epoch, sequence: sequence) }

func wireBytes(_ frame: Frame) -> [UInt8] {
  var buffer = ByteBuffer()
  FrameEncoder.encode(frame, into: &buffer)
  return Array(buffer.readableBytesView)
}

/// A frame with any payload, for what the encoder would never write.
func wireBytes(_ type: FrameType, payload: (inout ByteBuffer) -> Void) -> [UInt8] {
  var body = ByteBuffer()
  payload(&body)
  return wireBytes(code: type.rawValue, payload: Array(body.readableBytesView))
}

func wireBytes(code: UInt8, payload: [UInt8]) -> [UInt8] {
  let length = payload.count
  return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), code] + payload
}

func decodeOne(_ bytes: [UInt8]) throws -> Frame? {
  var decoder = FrameDecoder()
  var buffer = ByteBuffer(bytes: bytes)
  return try decoder.decode(&buffer)
}

/// A frame with a name for test output.
struct FrameFixture: Sendable, CustomTestStringConvertible {
  let name: String
  let frame: Frame
  var testDescription: String { name }
  var bytes: [UInt8] { wireBytes(frame) }

  init(_ name: String, _ frame: Frame) {
    self.name = "\(frame.type.name) \(name)"
    self.frame = frame
  }
}

extension FrameFixture {
  static let request = RequestID(7)
  static let ids = (0..<Limits.idsPerFrame).map { ContentID(Digest256(UInt64($0), 0, 0, 1)) }

  static func signed<Record: SignableRecord>(_ record: Record) -> Signed<Record> {
    guard let signature = Signature([UInt8](repeating: 0x5a, count: Signature.byteCount)) else {
      preconditionFailure("a signature has 64 bytes")
    }
    return Signed(record: record, signature: signature)
  }

  static func hello(members: [MemberState]) -> Hello {
    Hello(
      lowestVersion: 1, highestVersion: 3, features: Feature.challenges, household: HouseholdID(digest(1)),
      nonce: Array(0..<16), instance: Array(16..<32), time: WallTime(nanoseconds: -1),
      listeningPort: 62683, rosterHash: digest(2), holdingsCount: 5, holdingsRoot: digest(3),
      members: members)
  }

  static func member(_ number: Int) -> MemberState {
    MemberState(
      machine: MachineID(Digest256(UInt64(number), 0, 0, 0)), head: order(1, UInt64(number)),
      record: 2, attestation: 3)
  }

  static let record = MachineRecord(
    machine: machine(1), number: 9, name: "Küche", role: .full, program: "mantel 1.0",
    addresses: [NetworkAddress(host: "192.168.1.7", port: 62683)],
    folders: [FolderName(id: FolderID(high: 1, low: 2), name: "Bilder")])
  static let head = Head(
    library: machine(1), signer: machine(1), order: order(1, 7), root: digest(4),
    counts: LibraryCounts(), time: WallTime(nanoseconds: 5))
  static let forget = ForgetRequest(
    requester: machine(1), number: 2, time: WallTime(nanoseconds: 3), isWithdrawn: false,
    contents: [content(1), content(2)])

  /// At least one frame of each type, and each type's greatest ones.
  static let all: [FrameFixture] = opening + news + libraries + transfer + rest

  private static let opening: [FrameFixture] = [
    FrameFixture("without members", .hello(hello(members: []))),
    FrameFixture("with members", .hello(hello(members: (0..<3).map(member)))),
    FrameFixture("of a full household", .hello(hello(members: (0..<Limits.machines).map(member)))),
    FrameFixture("", .ping(1)),
    FrameFixture("", .pong(.max)),
    FrameFixture("without message", .close(.normal, message: "")),
    FrameFixture("with message", .close(.clone, message: "zwei Läufe\r\neiner Maschine")),
    FrameFixture(
      "with the longest message",
      .close(.protocolError, message: String(repeating: "x", count: FrameLimits.closeMessageBytes))),
  ]

  private static let news: [FrameFixture] = [
    FrameFixture("of one", .roster([[1]])),
    FrameFixture(
      "of many", .roster(Array(repeating: [UInt8](repeating: 2, count: Limits.statementBytes), count: 60))),
    FrameFixture("", .record(signed(record))),
    FrameFixture("", .head(signed(head))),
    FrameFixture("first", .attestation(part: 0, isLast: false, [1, 2, 3])),
    FrameFixture(
      "longest piece",
      .attestation(
        part: 255, isLast: true, [UInt8](repeating: 3, count: FrameLimits.attestationPieceBytes))),
    FrameFixture("", .forgetRequest(signed(forget))),
  ]

  private static let libraries: [FrameFixture] = [
    FrameFixture("of all", .getDelta(request, library: machine(1), from: .none, to: order(1, 2))),
    FrameFixture("one", .getEntries(request, library: machine(1), [entryID(1)])),
    FrameFixture("most", .getEntries(request, library: machine(1), ids.map { EntryID($0.digest) })),
    FrameFixture("none", .entries(request, [])),
    FrameFixture("two", .entries(request, [[1, 2], []])),
    FrameFixture("longest", .entries(request, [[UInt8](repeating: 1, count: Entry.maximumBytes)])),
    FrameFixture("none", .removedEntries(request, [])),
    FrameFixture("most", .removedEntries(request, ids.map { EntryID($0.digest) })),
    FrameFixture(
      "library", .reconcile(request, .library(machine(1), order(2, 3)), count: 4, root: digest(5))),
    FrameFixture("holdings", .reconcile(RequestID(.max), .holdings, count: .max, root: .zero)),
    FrameFixture("empty", .turn(request, isReply: false, isLast: true, ByteBuffer())),
    FrameFixture("reply", .turn(request, isReply: true, isLast: false, ByteBuffer(bytes: [1, 2]))),
    FrameFixture(
      "longest",
      .turn(
        request, isReply: true, isLast: true,
        ByteBuffer(repeating: 9, count: FrameLimits.turnBytes))),
  ]

  private static let units = [
    UnitID(content: content(1), part: .whole), UnitID(content: content(2), part: .block(0)),
    UnitID(content: content(2), part: .block(FrameLimits.blocksPerContent - 1)),
    UnitID(content: content(2), part: .manifest),
  ]

  private static let transfer: [FrameFixture] = [
    FrameFixture("each part", .get(request, units)),
    FrameFixture("most", .get(request, Array(repeating: units[0], count: Limits.unitsPerGet))),
    FrameFixture("empty file", .unitBegin(request, index: 0, bytes: 0)),
    FrameFixture("greatest", .unitBegin(request, index: 255, bytes: FrameLimits.unitBytes)),
    FrameFixture("one byte", .data(request, index: 1, ByteBuffer(bytes: [0xff]))),
    FrameFixture(
      "longest", .data(request, index: 1, ByteBuffer(repeating: 7, count: Limits.dataBytes))),
    FrameFixture("complete", .unitEnd(request, index: 1, .complete)),
    FrameFixture("changed", .unitEnd(request, index: 1, .changed)),
    FrameFixture("", .cancel(request)),
    FrameFixture("any", .pullAny(request, count: 1, bytes: 1, units)),
    FrameFixture(
      "most",
      .pullAny(
        request, count: UInt16(Limits.unitsPerGet), bytes: UInt32(Limits.bytesPerGet),
        Array(repeating: units[1], count: FrameLimits.pullUnits))),
    FrameFixture("block", .chosenUnit(request, index: 3, units[1])),
    FrameFixture("complete", .done(request, .complete)),
    FrameFixture("unsupported", .done(request, .unsupported)),
  ]

  private static let rest: [FrameFixture] = [
    FrameFixture("nothing", .available(added: [], removed: [])),
    FrameFixture("both", .available(added: [content(1)], removed: [content(2), content(3)])),
    FrameFixture("most added", .available(added: ids, removed: [])),
    FrameFixture("most removed", .available(added: [], removed: ids)),
    FrameFixture("none", .availableBlocks(content(1), [])),
    FrameFixture(
      "first and last block",
      .availableBlocks(
        content(1),
        [
          BlockRange(first: 0, count: 1), BlockRange(first: 1, count: 2),
          BlockRange(first: FrameLimits.blocksPerContent - 1, count: 1),
        ])),
    FrameFixture(
      "most ranges",
      .availableBlocks(
        content(1), (0..<UInt32(FrameLimits.blockRanges)).map { BlockRange(first: 2 * $0, count: 1) })),
    FrameFixture("one byte", .challenge(request, content(1), offset: 0, count: 1, nonce: Array(0..<16))),
    FrameFixture(
      "the end of the largest content",
      .challenge(
        request, content(1), offset: Limits.contentBytes - UInt64(FrameLimits.challengeBytes),
        count: FrameLimits.challengeBytes, nonce: Array(0..<16))),
    FrameFixture("", .challengeAnswer(request, digest(6))),
  ]
}
