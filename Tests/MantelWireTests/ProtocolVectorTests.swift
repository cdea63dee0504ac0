import MantelCore
import NIOCore
import Testing

@testable import MantelWire

/// The vectors of protocol.md were made by another program, from the text alone: they say what every field means.
@Suite struct ProtocolVectorTests {
  private let vectors: [ProtocolDocument.Vector]
  private let expected: ExpectedVectors

  init() throws {
    let document = try ProtocolDocument()
    vectors = try document.vectors()
    expected = try ExpectedVectors(ids: document.rows(under: "### Keys and ids"), vectors: vectors)
  }

  private func vectors(_ kind: String) -> [ProtocolDocument.Vector] { vectors.filter { $0.kind == kind } }

  private func vector(_ kind: String, _ name: String) throws -> [UInt8] {
    try #require(vectors(kind).first { $0.name == name }?.bytes)
  }

  @Test func namesAreUniqueAndComplete() {
    let names = vectors.map { "\($0.kind) \($0.name)" }
    #expect(Set(names).count == names.count)
    #expect(Set(vectors("frame").map(\.name)) == Set(expected.frames.keys))
    let types = Set(vectors("frame").compactMap { $0.name.split(separator: " ").first.map(String.init) })
    #expect(types == Set(FrameType.allCases.map(\.name)))
    #expect(Set(vectors("signed").map(\.name)) == ["machine", "head", "attestation", "forget"])
    #expect(
      Set(vectors("statement").map(\.name)) == [
        "genesis", "add", "accept", "rename", "remove", "countersign",
      ])
    #expect(Set(vectors("join").map(\.name)) == ["OFFER", "PROOF", "ACCEPT", "FINISH", "REFUSE"])
  }

  @Test func framesDecodeToWhatTheTextSaysAndBack() throws {
    for vector in vectors("frame") {
      let frame = try #require(try decodeOne(vector.bytes), "\(vector.name)")
      #expect(frame == expected.frames[vector.name], "\(vector.name)")
      #expect(vector.name.hasPrefix(frame.type.name))
      #expect(wireBytes(frame) == vector.bytes, "\(vector.name)")
      for length in 0..<vector.bytes.count {
        #expect(try decodeOne(Array(vector.bytes.prefix(length))) == nil, "\(vector.name)")
      }
    }
  }

  @Test func recordsDecodeToWhatTheTextSaysAndBack() throws {
    func check<Record: SignableRecord & Hashable>(_ name: String, _ record: Record) throws {
      let bytes = try vector("signed", name)
      let signed = try Signed<Record>(bytes: bytes)
      #expect(signed.record == record, "\(name)")
      #expect(signed.bytes == bytes, "\(name)")
    }
    try check("machine", expected.record)
    try check("head", expected.head)
    try check("attestation", expected.attestation)
    try check("forget", expected.forget)
    for (name, entry) in expected.entries {
      let bytes = try vector("entry", name)
      #expect(try Entry(canonicalBytes: bytes) == entry, "\(name)")
      #expect(entry.canonicalBytes == bytes, "\(name)")
    }
    #expect(vectors("entry").count == expected.entries.count)
    let manifest = try Manifest(bytes: try vector("manifest", "4 MiB + 1 zero bytes"))
    #expect(manifest.size == (4 << 20) + 1)
    #expect(manifest.bytes == (try vector("manifest", "4 MiB + 1 zero bytes")))
    #expect(Set(manifest.blocks.prefix(4)).count == 1)
  }

  /// What other modules read is at least of the lengths and in the places that the text says.
  @Test func statementsAndJoinMessagesFitTogether() throws {
    for vector in vectors("statement") {
      #expect(vector.bytes.count <= Limits.statementBytes)
      #expect(vector.bytes.first == 1)
    }
    let genesis = try vector("statement", "genesis")
    let accept = try vector("join", "ACCEPT")
    #expect(
      Array(accept.suffix(2 + (try vector("statement", "add")).count).dropFirst(2))
        == (try vector("statement", "add")))
    #expect(accept.count <= Limits.acceptFrameBytes)
    #expect(accept.indices.contains { accept[$0...].starts(with: genesis) })
    #expect(
      try vector("join", "FINISH").suffix(try vector("statement", "accept").count)
        == (try vector("statement", "accept"))[...])
    for name in ["OFFER", "PROOF", "FINISH", "REFUSE"] {
      #expect(try vector("join", name).count <= Limits.joinFrameBytes)
    }
  }
}
