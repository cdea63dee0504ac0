import MantelCore
import NIOCore

@testable import MantelWire

/// The values that the vectors of protocol.md stand for. Ids and signatures, which take a hash or a key to make, are the
/// document's.
struct ExpectedVectors {
  struct Missing: Error {
    var name: String
  }

  let record: MachineRecord
  let head: Head
  let attestation: Attestation
  let forget: ForgetRequest
  let entries: [String: Entry]
  let frames: [String: Frame]

  private static let time = WallTime(nanoseconds: 1_700_000_000_000_000_000)

  init(ids rows: [[String]], vectors: [ProtocolDocument.Vector]) throws {
    func id(_ name: String) throws -> Digest256 {
      guard let row = rows.first(where: { $0[0] == name }), let id = Digest256(hex: row[1]) else {
        throw Missing(name: name)
      }
      return id
    }
    func bytes(_ kind: String, _ name: String) throws -> [UInt8] {
      guard let vector = vectors.first(where: { $0.kind == kind && $0.name == name }) else {
        throw Missing(name: name)
      }
      return vector.bytes
    }
    guard let abc = ContentID(hex: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") else {
      throw Missing(name: "SHA-256(abc)")
    }
    let (anna, ben) = (MachineID(try id("anna")), MachineID(try id("ben")))
    record = Self.record(anna)
    head = Self.head(anna)
    attestation = Self.attestation(of: ben, library: anna, missing: abc)
    forget = ForgetRequest(
      requester: anna, number: 2, time: Self.time, isWithdrawn: false, contents: [abc])
    entries = try Self.entries(abc, video: try bytes("entry", "retired video"), manifest: id("manifest"))

    var frames = Self.requests(
      anna: anna, photo: try id("entry: live photo"), video: try id("entry: retired video"))
    frames.merge(Self.transfer) { first, _ in first }
    frames["HELLO"] = .hello(
      Self.hello(
        household: try id("household (the genesis)"),
        rosterHash: try id("roster hash of genesis, add, accept"), anna: anna, ben: ben))
    frames["PING"] = .ping(1)
    frames["PONG"] = .pong(1)
    frames["CLOSE"] = .close(.shuttingDown, message: "bye")
    frames["ROSTER"] = .roster([try bytes("statement", "genesis"), try bytes("statement", "add")])
    frames["RECORD"] = .record(
      Signed(record: record, signature: try Self.signature(bytes("signed", "machine"))))
    frames["HEAD"] = .head(Signed(record: head, signature: try Self.signature(bytes("signed", "head"))))
    frames["FORGET_REQUEST"] = .forgetRequest(
      Signed(record: forget, signature: try Self.signature(bytes("signed", "forget"))))
    frames["ATTESTATION"] = .attestation(part: 0, isLast: true, try bytes("signed", "attestation"))
    frames["ENTRIES"] = .entries(
      RequestID(7), [try bytes("entry", "live photo"), try bytes("entry", "dropped")])
    self.frames = frames
  }

  private static func signature(_ signed: [UInt8]) throws -> Signature {
    guard let signature = Signature(Array(signed.suffix(Signature.byteCount))) else {
      throw Missing(name: "signature")
    }
    return signature
  }

  private static func record(_ anna: MachineID) -> MachineRecord {
    MachineRecord(
      machine: anna, number: 9, name: "anna", role: .full, program: "mantel 1.0",
      addresses: [
        NetworkAddress(host: "192.168.1.7", port: 62683), NetworkAddress(host: "fd00::7", port: 62683),
      ], folders: [FolderName(id: folder(0xf0), name: "Bilder")])
  }

  private static func folder(_ byte: UInt8) -> FolderID {
    let word = UInt64(byte) &* 0x0101_0101_0101_0101
    return FolderID(high: word, low: word)
  }

  private static func head(_ anna: MachineID) -> Head {
    var counts = LibraryCounts()
    (counts.live, counts.retired, counts.unheld, counts.dropped, counts.bytes) = (2, 3, 4, 5, 6_000)
    return Head(
      library: anna, signer: anna, order: order(1, 7), root: digest(0x44), counts: counts, time: time)
  }

  private static func attestation(
    of ben: MachineID, library anna: MachineID, missing: ContentID
  ) -> Attestation {
    Attestation(
      holder: ben, number: 4, time: time, filesystem: folder(0xf5),
      oldestReread: WallTime(nanoseconds: time.nanoseconds - 2),
      libraries: [
        LibraryAttestation(
          library: anna, order: order(1, 7), heldRoot: digest(0x55), missingCount: 1, missingBytes: 3,
          missing: [missing])
      ])
  }

  private static func entries(
    _ abc: ContentID, video: [UInt8], manifest: Digest256
  ) throws -> [String: Entry] {
    // The content of the video is SHA-256 of 4 MiB + 1 zero bytes: behind version, folder and path.
    guard let zeros = ContentID(video[27..<59]) else { throw Missing(name: "content of the video") }
    return [
      "live photo": Entry(
        folder: folder(0xf0), path: Array("2024/Küste 1.jpg".utf8), content: abc, size: 3,
        mtime: time.nanoseconds - 1, kind: .photo, state: .live, manifest: nil),
      "retired video": Entry(
        folder: folder(0xf0), path: Array("clip.mp4".utf8), content: zeros, size: (4 << 20) + 1, mtime: -1,
        kind: .video, state: .retired(.replaced, at: time), manifest: manifest),
      "dropped": Entry(
        folder: folder(0xf0), path: [], content: abc, size: 3, mtime: time.nanoseconds - 1, kind: .photo,
        state: .dropped(at: time), manifest: nil),
    ]
  }

  private static func hello(
    household: Digest256, rosterHash: Digest256, anna: MachineID, ben: MachineID
  ) -> Hello {
    Hello(
      lowestVersion: 1, highestVersion: 1, features: Feature.challenges | Feature.forgetRequests,
      household: HouseholdID(household), nonce: [UInt8](repeating: 0xa0, count: 16),
      instance: [UInt8](repeating: 0xa1, count: 16), time: time, listeningPort: 62683,
      rosterHash: rosterHash, holdingsCount: 2, holdingsRoot: digest(0xa2),
      members: [
        MemberState(machine: anna, head: order(1, 7), record: 9, attestation: 0),
        MemberState(machine: ben, head: .none, record: 3, attestation: 4),
      ])
  }

  private static func requests(
    anna: MachineID, photo: Digest256, video: Digest256
  ) -> [String: Frame] {
    let request = RequestID(7)
    return [
      "GET_DELTA": .getDelta(request, library: anna, from: order(1, 5), to: order(1, 7)),
      "GET_ENTRIES": .getEntries(request, library: anna, [EntryID(photo)]),
      "REMOVED_ENTRIES": .removedEntries(request, [EntryID(video)]),
      "RECONCILE library": .reconcile(
        request, .library(anna, order(1, 7)), count: 3, root: digest(0x66)),
      "RECONCILE holdings": .reconcile(request, .holdings, count: 3, root: digest(0x66)),
      "TURN": .turn(request, isReply: true, isLast: true, ByteBuffer(bytes: [0x00, 0x40, 0x04])),
    ]
  }

  private static var transfer: [String: Frame] {
    let request = RequestID(7)
    let (small, large) = (content(0xc1), content(0xc2))
    return [
      "GET": .get(
        request,
        [
          UnitID(content: small, part: .whole), UnitID(content: large, part: .block(5)),
          UnitID(content: large, part: .manifest),
        ]),
      "UNIT_BEGIN": .unitBegin(request, index: 1, bytes: 1 << 20),
      "DATA": .data(request, index: 1, ByteBuffer(string: "abc")),
      "UNIT_END": .unitEnd(request, index: 1, .changed),
      "CANCEL": .cancel(request),
      "PULL_ANY": .pullAny(
        request, count: 4, bytes: 8 << 20,
        [UnitID(content: small, part: .whole), UnitID(content: large, part: .block(5))]),
      "CHOSEN_UNIT": .chosenUnit(request, index: 0, UnitID(content: large, part: .block(5))),
      "DONE": .done(request, .complete),
      "AVAILABLE": .available(added: [small], removed: [large]),
      "AVAILABLE_BLOCKS": .availableBlocks(
        large, [BlockRange(first: 0, count: 3), BlockRange(first: 5, count: 1)]),
      "CHALLENGE": .challenge(
        request, small, offset: 4_096, count: 512, nonce: [UInt8](repeating: 0xa3, count: 16)),
      "CHALLENGE_ANSWER": .challengeAnswer(request, digest(0x77)),
    ]
  }
}
