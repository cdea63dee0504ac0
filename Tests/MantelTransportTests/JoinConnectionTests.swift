import MantelCore
import MantelHousehold
import Synchronization
import Testing

@testable import MantelTransport

@Suite(.timeLimit(.minutes(1))) struct JoinConnectionTests {
  private let household = HouseholdID(Digest256(4, 4, 4, 4))

  @Test func messagesGoBothWays() async throws {
    let accept = [UInt8].random(Limits.acceptFrameBytes)
    let newcomer = DeviceKey()
    let met = Mutex<MachineID?>(nil)
    let inviter = FakeAgent(household: household, members: []) { connection in
      met.withLock { $0 = connection.peer }
      do {
        try await connection.send([1, 2, 3])
        let proof = try await connection.receive()
        #expect(proof == [UInt8](repeating: 7, count: Limits.joinFrameBytes))
        try await connection.send(accept)
        #expect(try await connection.receive() == [])
      } catch {
        Issue.record(error)
      }
    }
    inviter.isInviting.withLock { $0 = true }
    try await Household.run([inviter]) { running in
      let joining = try Household.transport(FakeAgent(key: newcomer, household: household, members: []))
      let connection = try await joining.dialJoin(running.address(of: 0, host: "::1"))
      #expect(connection.peer == inviter.key.machine)
      #expect(connection.peerPublicKey == inviter.key.publicKey)
      #expect(connection.isDialer)
      #expect(try await connection.receive() == [1, 2, 3])
      try await connection.send([UInt8](repeating: 7, count: Limits.joinFrameBytes))
      #expect(try await connection.receive(maximumBytes: Limits.acceptFrameBytes) == accept)
      try await connection.send([])
      let end = await #expect(throws: TransportError.self) { _ = try await connection.receive() }
      #expect(end?.code == .connectionClosed)
    }
    #expect(met.withLock { $0 } == newcomer.machine)
  }

  @Test func aMessageOverItsLimitIsRefusedByItsLength() async throws {
    let result = Mutex<TransportError.Code?>(nil)
    let inviter = FakeAgent(household: household, members: []) { connection in
      do throws(TransportError) {
        _ = try await connection.receive()
      } catch {
        result.withLock { $0 = error.code }
      }
    }
    inviter.isInviting.withLock { $0 = true }
    try await Household.run([inviter]) { running in
      let joining = try Household.transport(FakeAgent(household: household, members: []))
      let connection = try await joining.dialJoin(running.address(of: 0))
      try await connection.send([UInt8](repeating: 0, count: Limits.joinFrameBytes + 1))
      await #expect(throws: TransportError.self) { _ = try await connection.receive() }
    }
    #expect(result.withLock { $0 } == .overLimit)
  }

  @Test func silenceEndsAReceive() async throws {
    let inviter = FakeAgent(household: household, members: []) { connection in
      let error = await #expect(throws: TransportError.self) {
        _ = try await connection.receive(timeout: .milliseconds(50))
      }
      #expect(error?.code == .timeout)
    }
    inviter.isInviting.withLock { $0 = true }
    try await Household.run([inviter]) { running in
      let joining = try Household.transport(FakeAgent(household: household, members: []))
      let connection = try await joining.dialJoin(running.address(of: 0))
      await #expect(throws: TransportError.self) { _ = try await connection.receive() }
    }
  }

  @Test func withoutAnInviteNobodyJoins() async throws {
    let inviter = FakeAgent(household: household, members: [])
    try await Household.run([inviter]) { running in
      let joining = try Household.transport(FakeAgent(household: household, members: []))
      let refused = await #expect(throws: TransportError.self) {
        _ = try await joining.dialJoin(running.address(of: 0))
      }
      #expect(refused?.code == .noCommonProtocol)
    }
  }

  @Test func aNewcomerGetsThePlaceOfWhoOnlyHoldsIt() async throws {
    let gate = Journal()
    let inviter = FakeAgent(household: household, members: []) { connection in
      do {
        // Those who have proved the code keep their places.
        if try await connection.receive(timeout: .seconds(30)) == [1] { connection.proved() }
        try await connection.send([2])
      } catch { return }
      await gate.wait { !$0.isEmpty }
    }
    inviter.isInviting.withLock { $0 = true }
    try await Household.run([inviter]) { running in
      let joining = try Household.transport(FakeAgent(household: household, members: []))
      let address = running.address(of: 0)
      func dial(_ message: [UInt8]?) async throws -> JoinConnection {
        let connection = try await joining.dialJoin(address)
        if let message {
          try await connection.send(message)
          #expect(try await connection.receive(timeout: .seconds(30)) == [2])
        }
        return connection
      }
      let held = try await dial([0])
      _ = try await dial([1])
      _ = try await dial([1])
      #expect(try await held.receive(timeout: .seconds(30)) == JoinMessage.refusal(.busy))
      await #expect(throws: TransportError.self) { _ = try await held.receive(timeout: .seconds(30)) }
      // Now nobody is left to lose a place of this address.
      let surplus = try await dial(nil)
      #expect(try await surplus.receive(timeout: .seconds(30)) == JoinMessage.refusal(.busy))
      gate.add(.ended(SessionID(number: 0), inviter.key.machine))
    }
  }

  @Test func joinConnectionsCountAsFailuresUntilTheProof() async throws {
    let inviter = FakeAgent(household: household, members: []) { connection in
      do {
        if try await connection.receive(timeout: .seconds(30)) == [1] { connection.proved() }
        try await connection.send([2])
      } catch { return }
    }
    inviter.isInviting.withLock { $0 = true }
    var limits = TransportLimits()
    limits.failuresPerMinute = 3
    try await Household.run([inviter], limits: limits) { running in
      let joining = try Household.transport(FakeAgent(household: household, members: []))
      func attempt(_ message: UInt8) async throws {
        let connection = try await joining.dialJoin(running.address(of: 0))
        try await connection.send([message])
        _ = try await connection.receive(timeout: .seconds(30))
        await connection.close()
      }
      for _ in 0..<5 { try await attempt(1) }
      for _ in 0..<3 { try await attempt(0) }
      await #expect(throws: TransportError.self) { try await attempt(1) }
    }
  }
}
