package import MantelCore
import MantelHousehold
import NIOCore
import Synchronization

/// One connection of the join protocol: opaque messages, each with a u24 length before it, over TLS with both
/// certificates. The newcomer dials, the inviter accepts.
///
/// One task at a time may call `receive`. Every failure closes the connection.
package final class JoinConnection: Sendable {
  /// Bytes of the length before a message.
  private static let prefixBytes = 3

  /// The machine that the other side's certificate proves.
  package var peer: MachineID { connection.identity.machine }
  /// Its public key (SubjectPublicKeyInfo, DER).
  package var peerPublicKey: [UInt8] { connection.identity.publicKey }
  package var isDialer: Bool { connection.isDialer }
  package var remote: NetworkAddress { connection.remote }

  private let connection: AuthenticatedConnection
  private let whenProved: @Sendable () -> Void
  /// Received and not yet taken.
  private let received = Mutex(ByteBuffer())

  init(_ connection: AuthenticatedConnection, whenProved: @escaping @Sendable () -> Void = {}) {
    self.connection = connection
    self.whenProved = whenProved
  }

  /// The newcomer knows the code: from now on no other one takes its place, and its connection counts as no failure.
  package func proved() { whenProved() }

  /// Sends one message; returns when the kernel has it. Precondition: at most `Limits.acceptFrameBytes`.
  package func send(_ message: [UInt8], timeout: Duration = Limits.handshake) async throws(TransportError) {
    precondition(message.count <= Limits.acceptFrameBytes, "a join message is longer than any may be")
    let channel = connection.channel
    let buffer = Self.frame(message, channel.allocator)
    // Closing fails the write, which ends the wait.
    let timer = channel.eventLoop.scheduleTask(in: .nanoseconds(timeout.inNanoseconds)) {
      channel.close(promise: nil)
    }
    defer { timer.cancel() }
    do {
      try await channel.writeAndFlush(buffer).get()
    } catch {
      throw TransportError(.connectionClosed, "the message could not be sent: \(error)")
    }
  }

  /// The next message; one of more than `maximumBytes` is refused by its length alone.
  package func receive(
    maximumBytes: Int = Limits.joinFrameBytes, timeout: Duration = Limits.handshake
  ) async throws(TransportError) -> [UInt8] {
    let mailbox = connection.mailbox
    let hasExpired = Flag()
    let timer = connection.channel.eventLoop.scheduleTask(in: .nanoseconds(timeout.inNanoseconds)) {
      hasExpired.raise()
      mailbox.nudge()
    }
    defer { timer.cancel() }
    while true {
      if let message = try nextMessage(maximumBytes: maximumBytes) { return message }
      if hasExpired.isRaised {
        await close()
        throw TransportError(.timeout, "the other side did not answer in time")
      }
      await mailbox.wait(inbound: true)
      let batch = mailbox.take(inbound: true)
      if batch.resumesReading { connection.channel.read() }
      received.withLock { received in
        for var buffer in batch.inbound { received.writeBuffer(&buffer) }
      }
      if batch.isEnded, batch.inbound.isEmpty {
        throw TransportError(.connectionClosed, "the other side closed the connection")
      }
    }
  }

  /// Closes the connection, and returns when it is closed. Idempotent.
  package func close() async {
    if connection.mailbox.discardInbound() { connection.channel.read() }
    connection.channel.close(promise: nil)
    await withCheckedContinuation { continuation in
      connection.channel.closeFuture.whenComplete { _ in continuation.resume() }
    }
  }

  /// Tells a newcomer why there is no place for it, and closes its connection within `grace`.
  static func turnAway(_ channel: any Channel, _ error: JoinError, grace: Duration) {
    let timer = channel.eventLoop.scheduleTask(in: .nanoseconds(grace.inNanoseconds)) {
      channel.close(promise: nil)
    }
    channel.writeAndFlush(frame(JoinMessage.refusal(error), channel.allocator)).whenComplete { _ in
      timer.cancel()
      channel.close(promise: nil)
    }
  }

  private static func frame(_ message: [UInt8], _ allocator: ByteBufferAllocator) -> ByteBuffer {
    var buffer = allocator.buffer(capacity: message.count + prefixBytes)
    buffer.writeInteger(UInt8(message.count >> 16))
    buffer.writeInteger(UInt16(truncatingIfNeeded: message.count))
    buffer.writeBytes(message)
    return buffer
  }

  private func nextMessage(maximumBytes: Int) throws(TransportError) -> [UInt8]? {
    let result: Result<[UInt8]?, TransportError> = received.withLock { received in
      guard let high = received.getInteger(at: received.readerIndex, as: UInt8.self),
        let low = received.getInteger(at: received.readerIndex + 1, as: UInt16.self)
      else { return .success(nil) }
      let length = Int(high) << 16 | Int(low)
      guard length <= maximumBytes else {
        return .failure(TransportError(.overLimit, "a join message of \(length) bytes"))
      }
      guard received.readableBytes >= Self.prefixBytes + length else { return .success(nil) }
      received.moveReaderIndex(forwardBy: Self.prefixBytes)
      defer { received.discardReadBytes() }
      return .success(received.readBytes(length: length))
    }
    if case .failure = result { connection.channel.close(promise: nil) }
    return try result.get()
  }
}

/// Goes up once.
private final class Flag: Sendable {
  private let state = Atomic(false)
  var isRaised: Bool { state.load(ordering: .acquiring) }
  func raise() { state.store(true, ordering: .releasing) }
}
