import MantelCore
import MantelSession
import MantelWire
import Testing

@Suite struct DeadlineTests {
  static func greeted() -> SessionSide {
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob))
    side.session.received(.hello(Fixture.hello(nonce: 2)), now: Fixture.start)
    side.drain()
    side.sent = []
    return side
  }

  @Test func aPeerThatDoesNotGreetIsLeft() {
    let side = SessionSide(Fixture.configuration(Fixture.alice, peer: Fixture.bob))
    #expect(side.session.nextDeadline == Fixture.start + Limits.handshake)
    side.session.handleDeadline(now: Fixture.start + .seconds(9))
    side.drain()
    #expect(side.closing == nil)
    side.session.handleDeadline(now: Fixture.start + .seconds(10))
    side.drain()
    #expect(side.closing?.0 == .timeout && side.isClosed)
  }

  @Test func silenceIsPingedAndThenDeath() throws {
    let side = Self.greeted()
    #expect(side.session.nextDeadline == Fixture.start + .seconds(15))
    for seconds in [15, 30] {
      side.session.handleDeadline(now: Fixture.start + .seconds(seconds))
      side.drain()
      #expect(side.session.nextDeadline == Fixture.start + .seconds(seconds + 15))
    }
    #expect(side.sent.count == 2 && side.closing == nil)
    side.session.handleDeadline(now: Fixture.start + .seconds(45))
    side.drain()
    #expect(side.closing?.0 == .timeout)
  }

  @Test func aPongKeepsTheSessionAndTellsTheRoundTrip() throws {
    let side = Self.greeted()
    side.session.handleDeadline(now: Fixture.start + .seconds(15))
    side.session.received(.pong(1), now: Fixture.start + .milliseconds(15_020))
    side.session.handleDeadline(now: Fixture.start + .seconds(45))
    side.drain()
    #expect(side.closing == nil)
    #expect(side.events.contains(.roundTrip(.milliseconds(20))))
    #expect(side.session.snapshot.roundTrip == .milliseconds(20))
    #expect(side.sent.count == 2, "idle again after the pong")
  }

  @Test func pingsAreBounded() {
    let side = Self.greeted()
    for _ in 0..<10 { side.command(.ping, now: Fixture.start) }
    side.drain()
    #expect(side.sent.count == SessionLimits().pings)
  }

  @Test func aPeerThatOnlyAnswersPingsIsLeft() throws {
    let side = Self.greeted()
    side.command(.fetch([UnitFetch(unit: Fixture.unit(1), bytes: 1)]), now: Fixture.start + .seconds(100))
    for seconds in stride(from: 100, through: 210, by: 10) {
      side.session.received(.ping(0), now: Fixture.start + .seconds(seconds))
      side.session.handleDeadline(now: Fixture.start + .seconds(seconds))
      side.drain()
      #expect(side.closing == nil)
    }
    side.session.received(.ping(0), now: Fixture.start + .seconds(215))
    #expect(side.session.nextDeadline == Fixture.start + .seconds(220))
    side.session.handleDeadline(now: Fixture.start + .seconds(220))
    side.drain()
    #expect(side.closing?.0 == .timeout)
    #expect(side.tally.ends == [Fixture.unit(1): .cancelled])
  }
}
