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

  @Test func withoutAnInviteNobodyJoinsAndPlacesAreFew() async throws {
    let gate = Journal()
    let inviter = FakeAgent(household: household, members: []) { _ in await gate.wait { !$0.isEmpty } }
    try await Household.run([inviter]) { running in
      let joining = try Household.transport(FakeAgent(household: household, members: []))
      let address = running.address(of: 0)
      let refused = await #expect(throws: TransportError.self) { _ = try await joining.dialJoin(address) }
      #expect(refused?.code == .refused)
      inviter.isInviting.withLock { $0 = true }
      for _ in 0..<TransportLimits().joinConnectionsPerAddress { _ = try await joining.dialJoin(address) }
      // The handshake succeeds for the newcomer before the inviter judges; the first use tells.
      let surplus = try await joining.dialJoin(address)
      let closed = await #expect(throws: TransportError.self) { _ = try await surplus.receive() }
      #expect(closed?.code == .connectionClosed)
      gate.add(.ended(SessionID(number: 0), inviter.key.machine))
    }
  }
}
