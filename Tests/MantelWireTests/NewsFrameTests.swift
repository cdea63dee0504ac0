import MantelCore
import NIOCore
import Testing

@testable import MantelWire

@Suite struct RosterTests {
  @Test func statementsAreBoundedAndNotEmpty() {
    let none = wireBytes(.roster) { $0.writeInteger(UInt16(0)) }
    #expect(throws: WireError.malformed(.roster, field: "statements")) { try decodeOne(none) }
    let empty = wireBytes(.roster) { $0.writeBytes([0, 1, 0, 0, 9]) }
    #expect(throws: WireError.malformed(.roster, field: "statements")) { try decodeOne(empty) }
    let long = wireBytes(.roster) {
      $0.writeMultipleIntegers(UInt16(1), UInt16(Limits.statementBytes + 1))
      $0.writeRepeatingByte(1, count: Limits.statementBytes + 1)
    }
    #expect(throws: WireError.overLimit(.roster, field: "statements")) { try decodeOne(long) }
    let many = wireBytes(.roster) {
      $0.writeInteger(UInt16(Limits.statements + 1))
      for _ in 0...Limits.statements { $0.writeBytes([0, 1, 1]) }
    }
    #expect(throws: WireError.overLimit(.roster, field: "statements")) { try decodeOne(many) }
    /// A count that the payload cannot have is refused before anything is reserved for it.
    let lying = wireBytes(.roster) { $0.writeBytes([0x10, 0, 0, 1, 1]) }
    #expect(throws: WireError.truncated(.roster, field: "statements")) { try decodeOne(lying) }
  }

  @Test func aWholeRosterIsSplitIntoFramesThatFit() throws {
    let statements = (0..<Limits.statements).map { number in
      [UInt8](repeating: UInt8(number & 255), count: 1 + number % Limits.statementBytes)
    }
    let frames = Frame.rosters(statements)
    var received: [[UInt8]] = []
    for frame in frames {
      guard case .roster(let part) = try decodeOne(wireBytes(frame)) else { continue }
      received += part
    }
    #expect(received == statements)
    #expect(frames.count < 40)
    #expect(Frame.rosters([]).isEmpty)
  }
}

@Suite struct SignedRecordFrameTests {
  @Test func brokenRecordsNameTheirError() {
    var bytes = wireBytes(.head(FrameFixture.signed(FrameFixture.head)))
    bytes[FrameLimits.headerBytes] = 2
    #expect(throws: WireError.record(.head, .unsupportedVersion(2))) { try decodeOne(bytes) }
    let short = wireBytes(code: FrameType.record.rawValue, payload: [1, 2, 3])
    #expect(throws: WireError.record(.record, .truncated)) { try decodeOne(short) }
  }
}

@Suite struct AttestationPieceTests {
  private static func attestation(libraries: Int) -> Signed<Attestation> {
    let missing = (0..<UInt64(Limits.attestedMissing)).map { ContentID(Digest256($0, 0, 0, 0)) }
    return FrameFixture.signed(
      Attestation(
        holder: machine(1), number: 1, time: WallTime(nanoseconds: 2),
        filesystem: FolderID(high: 1, low: 1), oldestReread: WallTime(nanoseconds: 1),
        libraries: (0..<libraries).map {
          LibraryAttestation(
            library: machine(UInt8($0)), order: order(1, 1), heldRoot: digest(1), missingCount: 1_000,
            missingBytes: 1, missing: missing)
        }))
  }

  @Test(arguments: [0, 1, 2, 3, 32]) func piecesMakeTheWhole(libraries: Int) throws {
    let attestation = Self.attestation(libraries: libraries)
    let frames = Frame.attestations(attestation)
    var assembler = AttestationAssembler()
    // Twice: the assembler is ready for the next one after the last piece.
    for _ in 0..<2 {
      var whole: Signed<Attestation>?
      for frame in frames {
        #expect(whole == nil)
        guard case .attestation(let part, let isLast, let piece) = try decodeOne(wireBytes(frame)) else {
          Issue.record("not an ATTESTATION frame")
          return
        }
        whole = try assembler.add(part: part, isLast: isLast, piece)
      }
      #expect(whole == attestation)
    }
    #expect(frames.count == (attestation.bytes.count - 1) / FrameLimits.attestationPieceBytes + 1)
  }

  @Test func piecesOutOfOrderAreRefused() throws {
    var assembler = AttestationAssembler()
    #expect(throws: WireError.malformed(.attestation, field: "part")) {
      try assembler.add(part: 1, isLast: false, [1])
    }
    #expect(try assembler.add(part: 0, isLast: false, [1]) == nil)
    for part in [0, 2, 255] as [UInt8] {
      #expect(throws: WireError.malformed(.attestation, field: "part")) {
        try assembler.add(part: part, isLast: true, [1])
      }
    }
    #expect(throws: WireError.record(.attestation, .truncated)) {
      try assembler.add(part: 1, isLast: true, [1])
    }
  }

  @Test func gatheredBytesAreBounded() throws {
    var assembler = AttestationAssembler()
    let limit = Signed<Attestation>.maximumBytes
    let piece = [UInt8](repeating: 0, count: FrameLimits.attestationPieceBytes)
    let whole = limit / piece.count
    for part in 0..<whole {
      #expect(try assembler.add(part: UInt8(part), isLast: false, piece) == nil)
    }
    let over = [UInt8](repeating: 0, count: limit - whole * piece.count + 1)
    #expect(throws: WireError.overLimit(.attestation, field: "attestation")) {
      try assembler.add(part: UInt8(whole), isLast: true, over)
    }
  }

  @Test func emptyPiecesAreRefused() {
    let empty = wireBytes(.attestation) { $0.writeBytes([0, 1]) }
    #expect(throws: WireError.truncated(.attestation, field: "piece")) { try decodeOne(empty) }
    let flag = wireBytes(.attestation) { $0.writeBytes([0, 2, 0]) }
    #expect(throws: WireError.malformed(.attestation, field: "last")) { try decodeOne(flag) }
  }
}
