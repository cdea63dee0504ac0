import MantelCore
import NIOCore
import Testing

@testable import MantelWire

/// What holds for every frame, whatever its type.
@Suite struct FrameCodecTests {
  @Test func fixturesHaveEveryType() {
    #expect(Set(FrameFixture.all.map(\.frame.type)) == Set(FrameType.allCases))
  }

  @Test func onlyDataIsBulk() {
    for fixture in FrameFixture.all {
      #expect(fixture.frame.isBulk == (fixture.frame.typeCode == 0x45))
    }
  }

  @Test(arguments: FrameFixture.all) func roundTrips(fixture: FrameFixture) throws {
    let bytes = fixture.bytes
    var buffer = ByteBuffer(bytes: bytes + [0xaa])
    var decoder = FrameDecoder()
    let frame = try #require(try decoder.decode(&buffer))
    #expect(frame == fixture.frame)
    #expect(buffer.readableBytes == 1)
    #expect(wireBytes(frame) == bytes)
    #expect(bytes.count - FrameLimits.headerBytes <= frame.type.maximumBytes)
  }

  @Test(arguments: FrameFixture.all) func everyPrefixIsIncomplete(fixture: FrameFixture) throws {
    let bytes = fixture.bytes
    var decoder = FrameDecoder()
    var buffer = ByteBuffer(bytes: bytes)
    let whole = buffer
    for length in 0..<bytes.count {
      buffer = whole
      buffer.moveWriterIndex(to: length)
      guard try decoder.decode(&buffer) == nil, buffer.readerIndex == 0, buffer.writerIndex == length else {
        Issue.record("a prefix of \(length) bytes was taken or touched")
        return
      }
    }
  }

  /// Types whose last field is the rest of the payload: they may be shorter, and another length is another value.
  private static let openEnded: Set<FrameType> = [.data, .turn, .attestation]

  @Test(arguments: FrameFixture.all) func payloadsOfOtherLengthsAreRefused(fixture: FrameFixture) {
    let code = fixture.frame.typeCode
    let payload = Array(fixture.bytes.dropFirst(FrameLimits.headerBytes))
    guard !Self.openEnded.contains(fixture.frame.type) else { return }
    let step = max(1, payload.count / 200)
    for length in stride(from: 0, to: payload.count, by: step) {
      let bytes = wireBytes(code: code, payload: Array(payload.prefix(length)))
      #expect(throws: WireError.self) { try decodeOne(bytes) }
    }
    #expect(throws: WireError.self) { try decodeOne(wireBytes(code: code, payload: payload + [0])) }
  }

  @Test func fixedFramesNameTheirLeftovers() {
    for frame in [Frame.ping(1), .cancel(RequestID(1)), .done(RequestID(1), .busy)] {
      var bytes = wireBytes(frame) + [0]
      bytes[2] += 1
      #expect(throws: WireError.tooLong(type: frame.typeCode, bytes: Int(bytes[2]))) {
        try decodeOne(bytes)
      }
    }
    let padded = wireBytes(.close) { $0.writeBytes([0, 0, 0, 0, 0]) }
    #expect(throws: WireError.trailingBytes(.close)) { try decodeOne(padded) }
  }

  @Test(arguments: FrameType.allCases) func lengthIsJudgedByTheHeaderAlone(type: FrameType) throws {
    let limit = type.maximumBytes
    #expect(limit <= Limits.frameBytes)
    func header(_ length: Int) -> [UInt8] {
      Array(wireBytes(code: type.rawValue, payload: [UInt8](repeating: 0, count: length)).prefix(4))
    }
    #expect(try decodeOne(header(limit)) == nil)
    #expect(throws: WireError.tooLong(type: type.rawValue, bytes: limit + 1)) {
      try decodeOne(header(limit + 1))
    }
  }

  @Test func failureLeavesTheBufferAlone() throws {
    let good = wireBytes(Frame.ping(1))
    var buffer = ByteBuffer(bytes: good + wireBytes(.close) { $0.writeInteger(UInt16.max) } + good)
    var decoder = FrameDecoder()
    #expect(try decoder.decode(&buffer) == .ping(1))
    for _ in 0..<2 {
      #expect(throws: WireError.malformed(.close, field: "code")) { try decoder.decode(&buffer) }
      #expect(buffer.readerIndex == good.count)
    }
  }

  @Test func everyByteAtATime() throws {
    var decoder = FrameDecoder()
    var buffer = ByteBuffer()
    var frames: [Frame] = []
    let short = FrameFixture.all.filter { $0.bytes.count < 5_000 }
    for byte in short.flatMap(\.bytes) {
      buffer.writeInteger(byte)
      while let frame = try decoder.decode(&buffer) { frames.append(frame) }
    }
    #expect(frames == short.map(\.frame))
    #expect(buffer.readableBytes == 0)
  }

  /// The receiver must not copy file data.
  @Test func dataIsASliceOfWhatWasReceived() throws {
    let bytes = wireBytes(.data(RequestID(1), index: 0, ByteBuffer(repeating: 7, count: 1_000)))
    var buffer = ByteBuffer(bytes: bytes)
    let base = buffer.withVeryUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    var decoder = FrameDecoder()
    guard case .data(_, _, let data) = try decoder.decode(&buffer) else {
      Issue.record("not a DATA frame")
      return
    }
    let start = data.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
    #expect(start == base + UInt(FrameLimits.headerBytes + 6))
  }
}

@Suite struct UnknownFrameTests {
  static let known = Set(FrameType.allCases.map(\.rawValue))
  static let unknown = (UInt8.min...UInt8.max).filter { !known.contains($0) }

  @Test func optionalOnesAreSkippedAndCriticalOnesRefused() throws {
    for code in Self.unknown {
      let bytes = wireBytes(code: code, payload: [1, 2, 3])
      if code % 2 == 0 {
        #expect(try decodeOne(bytes + wireBytes(Frame.ping(4))) == .ping(4))
        #expect(try decodeOne(bytes) == nil)
      } else {
        #expect(throws: WireError.unknownCriticalType(code)) { try decodeOne(Array(bytes.prefix(4))) }
      }
    }
  }

  @Test func skippedOnesHaveALimitToo() throws {
    let longest = wireBytes(code: 0xfe, payload: [UInt8](repeating: 0, count: Limits.frameBytes))
    #expect(try decodeOne(longest + wireBytes(Frame.ping(4))) == .ping(4))
    let over = wireBytes(code: 0xfe, payload: [UInt8](repeating: 0, count: Limits.frameBytes + 1))
    #expect(throws: WireError.tooLong(type: 0xfe, bytes: Limits.frameBytes + 1)) {
      try decodeOne(Array(over.prefix(4)))
    }
  }

  @Test func skippedOnesMayArriveInPieces() throws {
    var decoder = FrameDecoder()
    var buffer = ByteBuffer()
    for byte in wireBytes(code: 0xfe, payload: [1, 2, 3]) {
      buffer.writeInteger(byte)
      #expect(try decoder.decode(&buffer) == nil)
    }
    #expect(buffer.readableBytes == 0)
  }

  /// Nobody may wait for a frame that the other side is free to skip.
  @Test func onlyNewsAndHintsAreOptional() {
    #expect(
      FrameType.allCases.filter(\.isOptional) == [.forgetRequest, .available, .availableBlocks])
  }
}

@Suite struct FrameMutationTests {
  /// Whatever the bytes, the decoder answers; and what it takes for a frame is the one encoding of that frame.
  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func changedBytesNeverTrap(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let fixtures = FrameFixture.all.map(\.bytes).filter { $0.count < 2_000 }
    for _ in 0..<3_000 {
      var bytes = fixtures.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        mutate(&bytes, using: &random)
      }
      drain(bytes + (fixtures.randomElement(using: &random) ?? []))
    }
  }

  @Test func noiseNeverTraps() throws {
    var random = SplitMix64(seed: 5)
    for type in FrameType.allCases {
      for _ in 0..<200 {
        let count = Int.random(in: 0...min(type.maximumBytes, 300), using: &random)
        let payload = (0..<count).map { _ in UInt8.random(in: 0...(.max), using: &random) }
        drain(wireBytes(code: type.rawValue, payload: payload))
      }
    }
  }

  private func mutate(_ bytes: inout [UInt8], using random: inout SplitMix64) {
    guard let place = bytes.indices.randomElement(using: &random) else { return }
    switch Int.random(in: 0..<4, using: &random) {
    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
    case 2: bytes.remove(at: place)
    default: bytes.insert(UInt8.random(in: 0...(.max), using: &random), at: place)
    }
  }

  private func drain(_ bytes: [UInt8]) {
    var decoder = FrameDecoder()
    var buffer = ByteBuffer(bytes: bytes)
    while true {
      let before = buffer
      guard let frame = try? decoder.decode(&buffer) else {
        #expect(buffer.readableBytes <= before.readableBytes)
        return
      }
      let taken = before.readableBytesView.prefix(before.readableBytes - buffer.readableBytes)
      let encoded = wireBytes(frame)
      #expect(taken.suffix(encoded.count).elementsEqual(encoded))
    }
  }
}
