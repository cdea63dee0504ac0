import MantelCore
import MantelHousehold
import Testing

@testable import MantelTransport

/// NIOSSL's server hands out session tickets, and has no switch for that. Who resumes a session shows no certificate, and the
/// library's callback is not asked: the certificate is that of the earlier connection. So two things must hold.
@Suite(.timeLimit(.minutes(1))) struct ResumptionTests {
  private static let household = HouseholdID(Digest256(4, 4, 4, 4))

  /// Fails where only a handshake with certificates is judged. The contexts of this side stay the same, so the ticket is good,
  /// and who bears it is no member any more.
  @Test(.enabled(if: ResumingClient.program != nil, "openssl is not installed"))
  func aResumedSessionIsJudgedByTheMembersOfItsMoment() async throws {
    let client = try ResumingClient()
    let agent = FakeAgent(household: Self.household, members: [client.key.machine])
    try await Household.run([agent]) { household in
      let (transport, address) = (household.transports[0], household.address(of: 0))
      let first = try await client.connect(to: address, until: agent.instance)
      #expect(!first.isResumed && first.wasAnswered && client.hasTicket, "\(first.text)")
      let second = try await client.connect(to: address, until: agent.instance)
      #expect(second.isResumed && second.wasAnswered, "else nothing is tried here: \(second.text)")
      #expect(transport.statistics().handshakesSucceeded == 2)

      agent.members.withLock { _ = $0.remove(client.key.machine) }
      let late = try await client.connect(to: address, until: agent.instance)
      #expect(late.isResumed && !late.wasAnswered, "\(late.text)")
      await eventually { transport.statistics().handshakesRefused == 1 }
      #expect(transport.statistics().handshakesSucceeded == 2)
    }
  }

  /// Of a member that stays, too. Fails where `rebuildTLS` leaves the contexts as they are.
  @Test(.enabled(if: ResumingClient.program != nil, "openssl is not installed"))
  func aChangeOfTheRosterVoidsEveryTicket() async throws {
    let client = try ResumingClient()
    let agent = FakeAgent(household: Self.household, members: [client.key.machine])
    try await Household.run([agent]) { household in
      let (transport, address) = (household.transports[0], household.address(of: 0))
      for isResumed in [false, true] {
        let connection = try await client.connect(to: address, until: agent.instance)
        #expect(connection.isResumed == isResumed && connection.wasAnswered, "\(connection.text)")
      }
      try transport.rebuildTLS()
      let anew = try await client.connect(to: address, until: agent.instance)
      #expect(!anew.isResumed && anew.wasAnswered, "\(anew.text)")
      #expect(anew.text.contains("New, TLSv1.3"), "\(anew.text)")
      #expect(transport.statistics().handshakesSucceeded == 3)
    }
  }
}
