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
      // The handshake succeeds for the newcomer before the inviter judges, so the first use tells which one is surplus.
      var connections: [JoinConnection] = []
      for _ in 0...TransportLimits().joinConnectionsPerAddress {
        connections.append(try await joining.dialJoin(address))
      }
      await withTaskGroup { group in
        for connection in connections {
          group.addTask { () -> TransportError.Code? in
            do throws(TransportError) {
              _ = try await connection.receive(timeout: .seconds(30))
              return nil
            } catch { return error.code }
          }
        }
        // One ends while the inviter keeps the others open; those end when it lets go.
        #expect(await group.next() == .connectionClosed)
        #expect(running.transports[0].state.withLock { $0.joins.count } == connections.count - 1)
        gate.add(.ended(SessionID(number: 0), inviter.key.machine))
        for await code in group { #expect(code == .connectionClosed) }
      }
    }
  }
}
