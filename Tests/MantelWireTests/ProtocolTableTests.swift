import MantelCore
import Testing

@testable import MantelWire

/// The tables of protocol.md say what the code does.
@Suite struct ProtocolTableTests {
  @Test func frameTable() throws {
    let rows = try ProtocolDocument().rows(under: "## 7. Frames").filter { $0[0].hasPrefix("0x") }
    let documented = rows.map { "\($0[0]) \($0[1]) \($0[2]) \($0[3])" }
    let coded = FrameType.allCases.map { type in
      let digits = String(type.rawValue, radix: 16)
      let code = "0x" + String(repeating: "0", count: 2 - digits.count) + digits
      let kind = type.isOptional ? "optional" : "critical"
      return "\(code) \(type.name) \(grouped(type.maximumBytes)) \(kind)"
    }
    #expect(documented == coded)
  }

  @Test func everyFrameHasALayout() throws {
    let rows = try ProtocolDocument().rows(under: "## 7. Frames").filter { !$0[0].hasPrefix("0x") }
    let described = rows.flatMap { $0[0].split(separator: ", ").map(String.init) }
    for type in FrameType.allCases { #expect(described.contains(type.name), "\(type.name)") }
  }

  static let limits: [String: String] = [
    "wholeUnitBytes": grouped(Limits.wholeUnitBytes), "blockBytes": grouped(Limits.blockBytes),
    "contentBytes": grouped(Limits.contentBytes), "manifestBytes": grouped(Limits.manifestBytes),
    "pathBytes": grouped(Limits.pathBytes), "pathComponentBytes": grouped(Limits.pathComponentBytes),
    "nameBytes": grouped(Limits.nameBytes), "hostBytes": grouped(Limits.hostBytes),
    "machines": grouped(Limits.machines), "folders": grouped(Limits.folders),
    "addresses": grouped(Limits.addresses), "entriesPerLibrary": grouped(Limits.entriesPerLibrary),
    "attestedMissing": grouped(Limits.attestedMissing), "statementBytes": grouped(Limits.statementBytes),
    "statements": grouped(Limits.statements), "statementsPerSigner": grouped(Limits.statementsPerSigner),
    "requestsKept": grouped(Limits.requestsKept),
    "frameBytes": grouped(Limits.frameBytes), "dataBytes": grouped(Limits.dataBytes),
    "unitsPerGet": grouped(Limits.unitsPerGet), "bytesPerGet": grouped(Limits.bytesPerGet),
    "openRequests": grouped(Limits.openRequests), "idsPerFrame": grouped(Limits.idsPerFrame),
    "windowBytes": grouped(Limits.windowBytes), "processWindowBytes": grouped(Limits.processWindowBytes),
    "descentDepth": grouped(Limits.descentDepth), "descentLegs": grouped(Limits.descentLegs),
    "openReconciliations": grouped(Limits.openReconciliations), "handshake": seconds(Limits.handshake),
    "unauthenticatedConnections": grouped(Limits.unauthenticatedConnections),
    "unauthenticatedPerAddress": grouped(Limits.unauthenticatedPerAddress),
    "certificateBytes": grouped(Limits.certificateBytes), "joinFrameBytes": grouped(Limits.joinFrameBytes),
    "acceptFrameBytes": grouped(Limits.acceptFrameBytes), "pingAfterIdle": seconds(Limits.pingAfterIdle),
    "deadAfterIdle": seconds(Limits.deadAfterIdle),
  ]

  static let frameLimits: [String: String] = [
    "headerBytes": grouped(FrameLimits.headerBytes), "nonceBytes": grouped(FrameLimits.nonceBytes),
    "closeMessageBytes": grouped(FrameLimits.closeMessageBytes),
    "attestationPieceBytes": grouped(FrameLimits.attestationPieceBytes),
    "turnBytes": grouped(FrameLimits.turnBytes), "pullUnits": grouped(FrameLimits.pullUnits),
    "blockRanges": grouped(FrameLimits.blockRanges),
    "blocksPerContent": grouped(FrameLimits.blocksPerContent),
    "unitBytes": grouped(FrameLimits.unitBytes), "challengeBytes": grouped(FrameLimits.challengeBytes),
  ]

  static let recordLimits: [String: String] = [
    "Entry": grouped(Entry.maximumBytes), "Head": grouped(Head.maximumBytes),
    "MachineRecord": grouped(MachineRecord.maximumBytes),
    "Attestation": grouped(Attestation.maximumBytes),
    "ForgetRequest": grouped(ForgetRequest.maximumBytes),
  ]

  @Test func limitTables() throws {
    let rows = try ProtocolDocument().rows(under: "## 13. Limits").filter { $0[0] != "name" }
    let documented = rows.map { "\($0[0]) \($0[1])" }.sorted()
    let tables = [Self.limits, Self.recordLimits, Self.frameLimits].joined()
    let coded = tables.map { "\($0.key) \($0.value)" }
    #expect(documented == coded.sorted())
  }

  /// A limit that is added to the code must be added to the tables, here and in protocol.md.
  @Test func noLimitIsForgotten() throws {
    #expect(
      try ProtocolDocument.constants(in: "Sources/MantelCore/Limits.swift").sorted()
        == Self.limits.keys.sorted())
    #expect(
      try ProtocolDocument.constants(in: "Sources/MantelWire/FrameLimits.swift").sorted()
        == Self.frameLimits.keys.sorted())
  }

  @Test func outcomeAndCloseCodeTables() throws {
    let rows = try ProtocolDocument().rows(under: "## 14. Outcomes").filter { UInt16($0[0]) != nil }
    let outcomes = Outcome.allCases.map { "\($0.rawValue) \(words("\($0)"))" }
    let codes = CloseCode.allCases.map { "\($0.rawValue) \(words("\($0)"))" }
    #expect(rows.map { "\($0[0]) \($0[1])" } == outcomes + codes)
  }

  @Test func featureBits() throws {
    let rows = try ProtocolDocument().rows(under: "### 8.1 Opening").filter { UInt8($0[0]) != nil }
    let bits = rows.map { row in UInt64(1) << (UInt64(row[0]) ?? 63) }
    #expect(bits == [Feature.lateBinding, Feature.challenges, Feature.forgetRequests])
    #expect(rows.map { $0[1].prefix(4) } == ["late", "chal", "forg"])
  }
}

/// `notHeld` as `not held`.
private func words(_ name: String) -> String {
  name.reduce(into: "") { $0 += $1.isUppercase ? " " + $1.lowercased() : String($1) }
}

private func grouped(_ value: some BinaryInteger) -> String {
  var digits = Array("\(value)")
  for place in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: place) }
  return String(digits)
}

private func seconds(_ duration: Duration) -> String { "\(duration.components.seconds) s" }
