import Logging
import MantelCore
import MantelHousehold
import MantelSession
import MantelTestSupport
import MantelTransport
import MantelWire
import NIOCore
import NIOPosix
import Synchronization

/// Units over an encrypted connection on loopback, out of memory and thrown away, beside a plain connection that carries the
/// same bytes.
struct TransferBenchmark {
  let timing: Timing

  private static let units = 170
  private static let unitBytes = 3_000_000

  func measure() async throws -> [PartsReport.Row] {
    let bytes = ByteBuffer(repeating: 7, count: Self.unitBytes)
    var random = SeededGenerator(seed: 3)
    let contents = (0..<Self.units).map { _ in ContentID(random.id()) }
    let keys = [DeviceKey(), DeviceKey()]
    let agents = keys.map {
      MemoryAgent(
        key: $0, members: Set(keys.map(\.machine)), contents: Set(contents), bytes: bytes, awaited: Self.units
      )
    }
    let transports = try agents.map { try $0.transport() }
    for transport in transports { _ = try await transport.bind() }
    let seconds = try await withThrowingTaskGroup { group in
      for transport in transports { group.addTask { try await transport.run() } }
      defer { for transport in transports { transport.shutDown() } }
      let session = try await transports[0].dial(
        NetworkAddress(host: "127.0.0.1", port: transports[1].listeningPort ?? 0), expecting: keys[1].machine)
      let fetches = contents.map {
        UnitFetch(unit: UnitID(content: $0, part: .whole), bytes: UInt64(Self.unitBytes))
      }
      return try await timing.medians([
        {
          let arrival = agents[0].nextArrival()
          guard transports[0].send(.fetch(fetches), to: session) else {
            throw BenchmarkError(description: "the connection has ended")
          }
          for await _ in arrival { break }
        },
        { try await PlainStream.carry(bytes, times: Self.units) },
      ])
    }
    return [
      PartsReport.Row(
        work: "transfer of \(Self.units) units of \(Self.unitBytes) bytes",
        amount: Self.units * Self.unitBytes,
        unit: "bytes", seconds: seconds[0], plain: "a plain connection", plainSeconds: seconds[1])
    ]
  }
}

/// An agent that has bytes in memory, and throws away what it gets.
private final class MemoryAgent: SessionEnvironment {
  private struct State {
    var left: Int
    var arrived: AsyncStream<Void>.Continuation?
  }

  let key: DeviceKey
  private let members: Set<MachineID>
  private let contents: Set<ContentID>
  private let bytes: ByteBuffer
  private let awaited: Int
  private let state: Mutex<State>

  init(key: DeviceKey, members: Set<MachineID>, contents: Set<ContentID>, bytes: ByteBuffer, awaited: Int) {
    self.key = key
    self.members = members
    self.contents = contents
    self.bytes = bytes
    self.awaited = awaited
    state = Mutex(State(left: awaited))
  }

  func transport() throws -> Transport {
    try Transport(
      TransportConfiguration(
        key: key, listen: .exact(host: "127.0.0.1", port: 0),
        now: { Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) },
        logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() }, limits: TransportLimits()),
      environment: self)
  }

  /// Yields once all units of the next fetch have come.
  func nextArrival() -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    state.withLock { $0 = State(left: awaited, arrived: continuation) }
    return stream
  }

  func authorises(_ peer: MachineID) -> Bool { members.contains(peer) }
  var answersNewcomers: Bool { false }

  func configuration(for peer: MachineID, isDialer: Bool, session: SessionID) async -> SessionConfiguration? {
    let household = HouseholdID(Digest256(4, 4, 4, 4))
    return SessionConfiguration(
      household: household, local: key.machine, peer: peer, isDialer: isDialer,
      hello: Hello(
        lowestVersion: 1, highestVersion: 1, features: 0, household: household,
        nonce: Array(key.machine.bytes.prefix(16)), instance: Array(key.machine.bytes.suffix(16)),
        time: WallTime(nanoseconds: 0), listeningPort: 0, rosterHash: .zero, holdingsCount: 0,
        holdingsRoot: .zero,
        members: []))
  }

  func answer(_ queries: [StoreQuery], for session: SessionID) async -> [StoreAnswer] {
    queries.map { query in
      guard case .read(let unit, let offset, let count) = query, contents.contains(unit.content),
        let slice = bytes.getSlice(
          at: Int(offset), length: min(count, max(0, bytes.readableBytes - Int(offset))))
      else { return .refused(.notHeld) }
      return .read(slice, unitBytes: UInt64(bytes.readableBytes))
    }
  }

  func received(_ event: SessionEvent, on session: SessionID) async {
    guard case .unitEnded(_, .complete) = event else { return }
    state.withLock { state in
      state.left -= 1
      if state.left == 0 { state.arrived?.yield() }
    }
  }

  func ended(_ session: SessionID, peer: MachineID) async {}
  func join(_ connection: JoinConnection) async {}
}

/// Bytes over a TCP connection on loopback, and nothing else.
private enum PlainStream {
  static func carry(_ bytes: ByteBuffer, times: Int) async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let server = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
    let client = try await ClientBootstrap(group: group).connect(
      to: server.channel.localAddress ?? SocketAddress(ipAddress: "127.0.0.1", port: 0)
    ) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
    let expected = bytes.readableBytes * times
    try await withThrowingTaskGroup { tasks in
      tasks.addTask {
        try await server.executeThenClose { accepted in
          for try await connection in accepted {
            try await connection.executeThenClose { inbound, outbound in
              for _ in 0..<times { try await outbound.write(bytes) }
              // Closing would throw away what has not left yet: the other side does, when it has all.
              for try await _ in inbound {}
            }
            return
          }
        }
      }
      try await client.executeThenClose { inbound, _ in
        var count = 0
        for try await buffer in inbound {
          count += buffer.readableBytes
          if count >= expected { break }
        }
        guard count == expected else {
          throw BenchmarkError(description: "\(count) of \(expected) bytes came")
        }
      }
      try await tasks.waitForAll()
    }
  }
}
