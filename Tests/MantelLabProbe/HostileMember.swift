import Glibc
import MantelCore
import MantelHousehold
import MantelWire
import NIOCore

/// What a member says that has turned hostile: a hello as it should be, lies under its own signature, and then frames that
/// ask for much, promise much, or mean nothing, until nobody reads any more.
enum HostileMember {
  static func run(_ words: [String]) -> Int32 {
    guard words.count == 3, let household = Digest256(hex: words[0]), let seed = UInt64(words[1]) else {
      return 64
    }
    var random = Noise(state: seed)
    var buffer = ByteBuffer()
    FrameEncoder.encode(.hello(hello(HouseholdID(household), &random)), into: &buffer)
    do {
      let liar = Liar(key: try DeviceKey.load(from: words[2]), household: HouseholdID(household))
      for _ in 0..<32 { FrameEncoder.encode(try liar.lie(&random), into: &buffer) }
    } catch {
      let text = Array("the lies cannot be signed: \(error)\n".utf8)
      _ = write(STDERR_FILENO, text, text.count)
      return 1
    }
    // By themselves first: what is no frame later on ends the connection.
    guard say(&buffer) else { return 0 }
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

  /// Its signatures are good, and nothing that they are under is true.
  private struct Liar {
    let key: DeviceKey
    let household: HouseholdID

    func lie(_ random: inout Noise) throws -> Frame {
      switch random.next() % 4 {
      case 0: return .head(try key.sign(head(&random), in: household))
      case 1:
        // More entries than a library may have: no record at all. The connection is over, so it comes seldom.
        var absurd = head(&random)
        if random.next() % 64 == 0 { absurd.counts.live = .max }
        return .head(try key.sign(absurd, in: household))
      case 2:
        return .attestation(
          part: 0, isLast: true, try key.sign(attestation(&random), in: household).bytes)
      default: return .record(try key.sign(record(&random), in: household))
      }
    }

    /// One of few places in the order, so that many roots claim each: a library that forks, with millions of entries that
    /// nobody ever brings.
    private func head(_ random: inout Noise) -> Head {
      var counts = LibraryCounts()
      counts.live = 1 + random.next() % 4_000_000
      counts.bytes = random.next()
      return Head(
        library: key.machine, signer: key.machine,
        order: HeadOrder(epoch: 1 << 20, sequence: 1 + random.next() % 4), root: random.digest(),
        counts: counts, time: WallTime(nanoseconds: Int64(truncatingIfNeeded: random.next())))
    }

    /// Lacks more than there is, or nothing, of a library of its own or one that there is not.
    private func attestation(_ random: inout Noise) -> Attestation {
      let library = random.next() & 1 == 0 ? key.machine : MachineID(random.digest())
      let lacks = random.next() & 1 == 0 ? UInt64.max : 0
      return Attestation(
        holder: key.machine, number: (1 << 61) + random.next() % 1_000,
        time: WallTime(nanoseconds: Int64(truncatingIfNeeded: random.next())),
        filesystem: FolderID(high: random.next(), low: random.next()),
        oldestReread: WallTime(nanoseconds: .max),
        libraries: [
          LibraryAttestation(
            library: library, order: HeadOrder(epoch: 1 << 20, sequence: 1 + random.next() % 4),
            heldRoot: random.digest(), missingCount: lacks, missingBytes: lacks, missing: [])
        ])
    }

    /// Another name each time, and addresses where nobody listens.
    private func record(_ random: inout Noise) -> MachineRecord {
      MachineRecord(
        machine: key.machine, number: (1 << 61) + random.next() % 1_000, name: "mona \(random.next() % 8)",
        role: .full,
        program: "hostile",
        addresses: (0..<16).map { NetworkAddress(host: "10.77.0.\(200 + $0)", port: 1) }, folders: [])
    }
  }

  /// The same seed, the same noise (SplitMix64).
  fileprivate struct Noise {
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
