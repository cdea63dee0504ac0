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
