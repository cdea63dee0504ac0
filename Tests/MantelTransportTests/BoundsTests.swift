import MantelCore
import MantelHousehold
import MantelSession
import MantelWire
import NIOCore
import Testing

@testable import MantelTransport

/// The two queues of a session, without sockets.
@Suite(.timeLimit(.minutes(1))) struct BoundsTests {
  @Test func readsStopAtTheLimitAndGoOnOnceTaken() async {
    let mailbox = Mailbox(inboundLimit: 10, commandLimit: 2)
    mailbox.received([ByteBuffer(repeating: 1, count: 9)])
    #expect(!mailbox.holdsReads())
    mailbox.received([ByteBuffer(repeating: 1, count: 1)])
    #expect(mailbox.holdsReads())
    #expect(mailbox.take(inbound: false).inbound.isEmpty)
    #expect(mailbox.queuedInboundBytes == 10)
    let batch = mailbox.take(inbound: true)
    #expect(batch.inboundBytes == 10 && batch.resumesReading && !batch.isEnded)
    #expect(!mailbox.holdsReads())
  }

  @Test func commandsAreRefusedAtTheLimit() {
    let mailbox = Mailbox(inboundLimit: 10, commandLimit: 2)
    #expect(mailbox.command(.ping))
    #expect(mailbox.command(.ping))
    #expect(!mailbox.command(.ping))
    #expect(mailbox.take(inbound: false).commands.count == 2)
    #expect(mailbox.command(.ping))
  }

  @Test func theEndComesAfterTheBytes() async {
    let mailbox = Mailbox(inboundLimit: 10, commandLimit: 2)
    mailbox.received([ByteBuffer(repeating: 1, count: 3)])
    mailbox.end()
    let withheld = mailbox.take(inbound: false)
    #expect(!withheld.isEnded)
    await mailbox.wait(inbound: true)
    let batch = mailbox.take(inbound: true)
    #expect(batch.isEnded && batch.inboundBytes == 3)
  }

  @Test func discardedBytesAreReadAndForgotten() {
    let mailbox = Mailbox(inboundLimit: 10, commandLimit: 2)
    mailbox.received([ByteBuffer(repeating: 1, count: 20)])
    #expect(mailbox.holdsReads())
    #expect(mailbox.discardInbound())
    mailbox.received([ByteBuffer(repeating: 1, count: 20)])
    #expect(!mailbox.holdsReads())
    #expect(mailbox.queuedInboundBytes == 0)
  }

  /// As TLS hands it up: few bytes, or many, in a buffer of 32 KiB.
  private func read(_ byte: UInt8, count: Int = 1) -> ByteBuffer {
    var buffer = ByteBufferAllocator().buffer(capacity: 32 << 10)
    buffer.writeRepeatingByte(byte, count: count)
    return buffer
  }

  @Test func aByteAtATimeKeepsNoWholeBuffersAlive() {
    let mailbox = Mailbox(inboundLimit: 10_000, commandLimit: 2)
    for number in 0..<5_000 {
      mailbox.received([read(UInt8(truncatingIfNeeded: number))])
      // A command that is taken meanwhile leaves the bytes where they are, and what comes next still goes beside them.
      if number % 10 == 0 { #expect(mailbox.take(inbound: false).inbound.isEmpty) }
    }
    #expect(mailbox.queuedInboundBytes == 5_000)
    let batch = mailbox.take(inbound: true)
    #expect(batch.inboundBytes == 5_000)
    let memory = batch.inbound.reduce(0) { $0 + $1.storageCapacity }
    #expect(memory <= 2 * 5_000 + 1_024)
    #expect(batch.inbound.count <= 6)
    let bytes = batch.inbound.flatMap { Array($0.readableBytesView) }
    #expect(bytes == (0..<5_000).map { UInt8(truncatingIfNeeded: $0) })
  }

  @Test func wellFilledBuffersAreTakenAsTheyAreAndInOrder() {
    func place(_ buffer: ByteBuffer) -> UInt {
      buffer.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
    }
    let mailbox = Mailbox(inboundLimit: 100_000, commandLimit: 2)
    let full = read(2, count: 16 << 10)
    mailbox.received([read(1), full, read(3)])
    mailbox.received([read(4, count: 2_000)])
    let inbound = mailbox.take(inbound: true).inbound
    var expected: [UInt8] = [1]
    expected += [UInt8](repeating: 2, count: 16 << 10)
    expected.append(3)
    expected += [UInt8](repeating: 4, count: 2_000)
    let bytes = inbound.flatMap { Array($0.readableBytesView) }
    #expect(bytes == expected)
    // Where it was, not copied; what came after it was not written into it.
    let isInPlace = inbound.contains { place($0) == place(full) }
    #expect(isInPlace)
    #expect(full.readableBytes == 16 << 10)
    let memory = inbound.reduce(0) { $0 + $1.storageCapacity }
    #expect(memory < 2 * (32 << 10))
    // A batch that was taken is left alone.
    mailbox.received([read(5)])
    #expect(mailbox.take(inbound: true).inbound.count == 1)
  }

  private func data(_ bytes: Int) -> SessionEvent {
    .unitData(UnitID(content: content(1, bytes: 0).0, part: .whole), ByteBuffer(repeating: 1, count: bytes))
  }

  @Test func eventsHaveRoomByCountAndByBytes() async {
    let agent = FakeAgent(household: HouseholdID(.zero), members: [])
    let delivery = EventDelivery(countLimit: 4, byteLimit: 1_000)
    delivery.add(data(500))
    #expect(delivery.hasRoom())
    delivery.add(data(500))
    #expect(!delivery.hasRoom())
    delivery.release()
    delivery.finish()
    let nudges = Journal()
    await delivery.run(to: agent, of: SessionID(number: 1)) {
      nudges.add(.ended(SessionID(number: 1), agent.key.machine))
    }
    #expect(nudges.items.count == 1)
    #expect(delivery.queuedBytes == 0)
    #expect(agent.journal.items.count == 2)
    for _ in 0..<4 { delivery.add(data(0)) }
    #expect(!delivery.hasRoom())
  }

  @Test func eventsOfASessionThatWasNeverShownAreDroppedButForAClone() async {
    let agent = FakeAgent(household: HouseholdID(.zero), members: [])
    let delivery = EventDelivery(countLimit: 4, byteLimit: 1_000)
    delivery.add(data(1))
    delivery.add(.closing(.clone, message: "", byPeer: true))
    delivery.finish()
    await delivery.run(to: agent, of: SessionID(number: 1)) {}
    #expect(agent.journal.items.count == 1)
    #expect(agent.journal.items.closeCode(of: SessionID(number: 1)) == .clone)
  }
}
