import Glibc
import MantelCore
import MantelWire
import NIOCore

/// What a member says that has turned hostile: a hello as it should be, and then frames that ask for much, promise much,
/// or mean nothing, until nobody reads any more.
enum HostileMember {
  static func run(_ words: [String]) -> Int32 {
    guard words.count == 2, let household = Digest256(hex: words[0]), let seed = UInt64(words[1]) else {
      return 64
    }
    var random = Noise(state: seed)
    var buffer = ByteBuffer()
    FrameEncoder.encode(.hello(hello(HouseholdID(household), &random)), into: &buffer)
    for _ in 0..<100_000 {
      if buffer.readableBytes > 32 << 10 {
        guard say(&buffer) else { return 0 }
      }
      FrameEncoder.encode(frame(&random), into: &buffer)
      // Once in a while something that is no frame; then the connection is over.
      if random.next() % 5_000 == 0 { buffer.writeInteger(random.next()) }
    }
    return say(&buffer) ? 0 : 1
  }

  private static func say(_ buffer: inout ByteBuffer) -> Bool {
    while buffer.readableBytes > 0 {
      let count = buffer.withUnsafeReadableBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      guard count > 0 else { return false }
      buffer.moveReaderIndex(forwardBy: count)
    }
    buffer.clear()
    return true
  }

  private static func hello(_ household: HouseholdID, _ random: inout Noise) -> Hello {
    Hello(
      lowestVersion: 1, highestVersion: 1, features: 0, household: household, nonce: random.bytes(16),
      instance: random.bytes(16), time: WallTime(nanoseconds: 0), listeningPort: 1,
      rosterHash: random.digest(),
      holdingsCount: 1 << 26, holdingsRoot: random.digest(), members: [])
  }

  private static func frame(_ random: inout Noise) -> Frame {
    let request = RequestID(UInt32(truncatingIfNeeded: random.next() % 64))
    let contents = (0..<random.next() % 512).map { _ in ContentID(random.digest()) }
    switch random.next() % 12 {
    case 0: return .available(added: contents, removed: [])
    case 1: return .available(added: [], removed: contents)
    case 2: return .get(request, contents.prefix(200).map { UnitID(content: $0, part: .whole) })
    case 3: return .reconcile(request, .holdings, count: 1 << 26, root: random.digest())
    case 4:
      return .turn(
        request, isReply: random.next() & 1 == 0, isLast: true, ByteBuffer(bytes: random.bytes(900)))
    case 5:
      return .getEntries(request, library: MachineID(random.digest()), contents.map { EntryID($0.digest) })
    case 6:
      return .getDelta(
        request, library: MachineID(random.digest()), from: .none, to: HeadOrder(epoch: 1, sequence: 1 << 40))
    case 7: return .data(request, index: 0, ByteBuffer(bytes: random.bytes(1_000)))
    case 8: return .done(request, .complete)
    case 9: return .cancel(request)
    case 10: return .roster([random.bytes(400)])
    default: return .ping(random.next())
    }
  }

  /// The same seed, the same noise (SplitMix64).
  private struct Noise {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var word = state
      word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
      word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
      return word ^ (word >> 31)
    }

    mutating func digest() -> Digest256 { Digest256(next(), next(), next(), next()) }
    mutating func bytes(_ count: Int) -> [UInt8] {
      (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
  }
}
