import MantelCore
import MantelHousehold
import MantelTransport
import Synchronization
import Testing

@testable import MantelAgent

@Suite(.timeLimit(.minutes(1))) struct InviterSearchTests {
  private func address(_ number: UInt16) -> NetworkAddress {
    NetworkAddress(host: "192.0.2.\(number)", port: number)
  }
  private let unreachable = TransportError(.unreachable, "no route")

  // MARK: Decisions

  @Test func addressesOfOneMachineComeOneAfterAnother() {
    var search = InviterSearch()
    let first = search.found("a", [address(1), address(2)])
    #expect(first.map(\.address) == [address(1)])
    #expect(search.found("a", [address(1), address(2), address(3)]).isEmpty)
    let second = search.failed(first[0], unreachable)
    #expect(second.map(\.address) == [address(2)])
    #expect(!search.wasRefused && !search.isIdle)
    #expect(search.failed(second[0], unreachable).map(\.address) == [address(3)])
  }

  @Test func aRefusalEndsWithItsMachineAndNotTheSearch() {
    var search = InviterSearch()
    let first = search.found("a", [address(1), address(2)])
    let other = search.found("b", [address(3)])
    #expect(other.map(\.address) == [address(3)])
    #expect(search.failed(first[0], JoinError.wrongCode).isEmpty)
    #expect(search.wasRefused && !search.isIdle)
    _ = search.failed(other[0], unreachable)
    #expect(search.isIdle)
    #expect(search.found("c", [address(4)]).map(\.address) == [address(4)])
  }

  @Test func whatTellsMostIsReported() {
    var search = InviterSearch()
    let errors: [any Error] = [
      unreachable, JoinError.tampered, JoinError.busy, JoinError.wrongCode, JoinError.expired,
      JoinError.householdFull,
    ]
    for (number, error) in errors.enumerated() {
      let attempts = search.found("\(number)", [address(UInt16(number + 1))])
      _ = search.failed(attempts[0], error)
      #expect("\(search.reason ?? unreachable)" == "\(error)")
      let noise = search.found("x\(number)", [address(UInt16(number + 100))])
      _ = search.failed(noise[0], unreachable)
    }
    #expect(search.reason as? JoinError == .householdFull)
  }

  @Test func noMoreAreTriedThanTheBoundsAllow() {
    var search = InviterSearch()
    var attempts: [InviterSearch.Attempt] = []
    for number in 0..<200 {
      attempts += search.found("\(number)", (1...50).map { NetworkAddress(host: "h\(number)", port: $0) })
    }
    #expect(attempts.count == InviterSearch.attemptsAtOnce)
    var tried = 0
    while let next = attempts.popLast() {
      tried += 1
      attempts += search.failed(next, unreachable)
    }
    #expect(tried == InviterSearch.services * InviterSearch.addressesPerService)
    #expect(search.isIdle)
  }

  // MARK: The search

  /// Services as discovery would name them.
  private func services(_ count: UInt16) -> AsyncStream<(instance: String, addresses: [NetworkAddress])> {
    AsyncStream { continuation in
      for number in 0..<count { continuation.yield(("\(number)", [address(number + 1)])) }
    }
  }

  private func search(
    _ count: UInt16, timeout: Duration = .seconds(30), patience: Duration = .seconds(30),
    attempt: @escaping @Sendable (NetworkAddress) async throws -> Joining.Proved
  ) async throws -> Joining.Proved {
    let services = services(count)
    return try await Joining.search(timeout: timeout, patience: patience) {
      var iterator = services.makeAsyncIterator()
      return await iterator.next()
    } attempt: {
      try await attempt($0)
    }
  }

  @Test func theMachineThatKnowsTheCodeIsFoundBehindOthers() async throws {
    // Another household's invite is open too, and somebody only pretends to have one.
    let (right, wrong) = (try JoinScene(), try JoinScene())
    let code = right.invitations.open(lifetime: .seconds(600))
    _ = wrong.invitations.open(lifetime: .seconds(600))
    let proved = try await search(3) { [address] target in
      switch target {
      case address(1): return try await Self.prove(code, at: wrong)
      case address(2): throw JoinError.householdFull
      default: return try await Self.prove(code, at: right)
      }
    }
    #expect(proved.household.roster.household == right.household.roster.household)
  }

  private static func prove(_ code: InviteCode, at scene: JoinScene) async throws -> Joining.Proved {
    try await scene.meet { try await scene.joining(code).prove(on: $0) }
  }

  @Test func theReasonIsToldWhenAllHaveRefused() async throws {
    await #expect(throws: JoinError.wrongCode) {
      try await search(2, patience: .milliseconds(10)) { [address, unreachable] target in
        if target == address(1) { throw JoinError.wrongCode }
        throw unreachable
      }
    }
  }

  @Test func theReasonIsToldWhenTimeIsUp() async throws {
    let error = await #expect(throws: TransportError.self) {
      // Long enough for the one attempt, however loaded the machine is that runs all tests at once.
      try await search(1, timeout: .seconds(8)) { [unreachable] _ in throw unreachable }
    }
    #expect(error?.code == .unreachable)
    let nobody = await #expect(throws: AgentError.self) {
      try await search(0, timeout: .milliseconds(10)) { [unreachable] _ in throw unreachable }
    }
    #expect(nobody?.message.contains("no machine with an open invite") == true)
  }
}
