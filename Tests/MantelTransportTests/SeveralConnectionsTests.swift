import MantelCore
import MantelHousehold
import MantelSession
import MantelWire
import NIOCore
import Synchronization
import Testing

@testable import MantelTransport

@Suite(.timeLimit(.minutes(1))) struct SeveralConnectionsTests {
  /// Each side dials the other, once or twice, and nobody greets before all connections are there.
  @Test(arguments: [1, 1, 2, 2]) func simultaneousDialsLeaveOneWorkingSession(dials: Int) async throws {
    let agents = Household.agents(2)
    try await Household.run(agents) { household in
      let transports = household.transports
      for agent in agents {
        agent.greetingDelay.withLock {
          $0 = {
            await eventually {
              transports.allSatisfy { $0.statistics().handshakesSucceeded == 2 * UInt64(dials) }
            }
          }
        }
      }
      await withTaskGroup { group in
        for number in 0..<2 {
          let other = agents[1 - number].key.machine
          for _ in 0..<dials {
            group.addTask { () -> (TransportError.Code?, MachineID) in
              do throws(TransportError) {
                _ = try await transports[number].dial(household.address(of: 1 - number), expecting: other)
                return (nil, other)
              } catch { return (error.code, other) }
            }
          }
        }
        // A dial that lost hears that another connection is kept, whoever closed it first.
        for await (code, other) in group { #expect(code == nil || code == .duplicate(other)) }
      }
      let dialler = agents[0].key.machine < agents[1].key.machine ? 0 : 1
      for number in 0..<2 {
        let (journal, transport) = (agents[number].journal, transports[number])
        // One may be shown first, and give way to the other: what counts is where it ends.
        await eventually {
          let sessions = transport.statistics().sessions.map(\.session)
          return sessions.count == 1 && journal.items.liveSessions == sessions
        }
        let kept = try #require(transport.statistics().sessions.first)
        #expect(kept.isDialer == (number == dialler), "the smaller machine's is the one")
        await household.expectWorking(kept.session, of: number)
      }
    }
    for agent in agents { expectOneAtATime(agent.journal.items) }
  }

  /// Which addresses a machine has is found out by dialling them: that costs no session that works.
  @Test(arguments: 0..<4) func aDialToAnUnknownMachineLeavesItsSessionAlone(round: Int) async throws {
    let agents = Household.agents(2)
    try await Household.run(agents) { household in
      let session = try await household.transports[1].dial(household.address(of: 0), expecting: nil)
      await agents[0].journal.waitForOpened()
      for number in 0..<2 {
        let error = await #expect(throws: TransportError.self) {
          _ = try await household.transports[number].dial(household.address(of: 1 - number), expecting: nil)
        }
        #expect(error?.code == .duplicate(agents[1 - number].key.machine))
      }
      await household.expectWorking(session, of: 1)
      #expect(agents.allSatisfy { $0.journal.items.openedSessions.count == 1 })
    }
    for agent in agents { expectOneAtATime(agent.journal.items) }
  }

  @Test func aHalfOpenSessionIsReplacedWhenItsPeerReconnects() async throws {
    var limits = TransportLimits()
    limits.probe = .milliseconds(100)
    let agents = Household.agents(2)
    try await Household.run(agents, limits: limits) { household in
      // It greets, and is never heard again.
      let silent = try await RawClient.connect(
        to: household.address(of: 0), tls: RawClient.configuration(agents[1].key))
      try await silent.send(.hello(agents[1].hello))
      await agents[0].journal.waitForOpened(1)
      let session = try await household.transports[1].dial(household.address(of: 0), expecting: nil)
      await agents[0].journal.waitForOpened(2)
      await household.expectWorking(session, of: 1)
      silent.close()
    }
    expectOneAtATime(agents[0].journal.items)
  }

  @Test func twoLivingCopiesOfAMachineAreTold() async throws {
    let agents = Household.agents(2)
    let copy = FakeAgent(
      key: agents[1].key, household: agents[1].household, members: agents[1].members.withLock { $0 })
    try await Household.run(agents + [copy]) { household in
      let first = try await household.transports[1].dial(household.address(of: 0), expecting: nil)
      // For the copy its connection is the only one: whether its dial returns before the verdict is a race.
      do throws(TransportError) {
        _ = try await household.transports[2].dial(household.address(of: 0), expecting: nil)
      } catch {
        #expect(error.code == .closed(.clone))
      }
      await copy.journal.wait { !$0.endedSessions.isEmpty }
      let told = try #require(copy.journal.items.endedSessions.first)
      #expect(copy.journal.items.closeCode(of: told) == .clone)
      await agents[1].journal.waitForEnd(of: first)
      #expect(agents[1].journal.items.closeCode(of: first) == .clone)
      await agents[0].journal.wait { !$0.endedSessions.isEmpty }
    }
  }

  /// Also when it is the machine between them that dialled both, and its second dial never came to be shown.
  @Test func bothCopiesThatWereDialledAreTold() async throws {
    let agents = Household.agents(2)
    let copy = FakeAgent(
      key: agents[1].key, household: agents[1].household, members: agents[1].members.withLock { $0 })
    try await Household.run(agents + [copy]) { household in
      let machine = agents[1].key.machine
      _ = try await household.transports[0].dial(household.address(of: 1), expecting: machine)
      let error = await #expect(throws: TransportError.self) {
        _ = try await household.transports[0].dial(household.address(of: 2), expecting: machine)
      }
      #expect(error?.code == .closed(.clone))
      for told in [agents[1], copy] {
        await told.journal.wait { !$0.endedSessions.isEmpty }
        let session = try #require(told.journal.items.endedSessions.first)
        #expect(told.journal.items.closeCode(of: session) == .clone)
        let isTold = told.journal.items.contains {
          if case .event(_, .closing(.clone, _, byPeer: true)) = $0 { true } else { false }
        }
        #expect(isTold)
      }
    }
  }

  /// What the environment was promised: one session of a peer at a time, ended before the next opens.
  private func expectOneAtATime(_ items: [Journal.Item]) {
    var live: Set<SessionID> = []
    for item in items {
      switch item {
      case .event(let session, .opened):
        live.insert(session)
        #expect(live.count == 1)
      case .event(let session, let event):
        if case .closing(.clone, _, _) = event { continue }
        #expect(live.contains(session))
      case .ended(let session, _): live.remove(session)
      }
    }
    #expect(live.isEmpty)
  }
}
