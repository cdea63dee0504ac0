import Foundation
import MantelTestSupport
import Testing

extension LabTests {
  /// Networks, daemons and machines that go away and come back; nobody types anything.
  @Suite struct RecoveryLabTests {
    @Test func survivesAvahiCablesAndStandstill() async throws {
      try await LabHousehold.withMachines(["anna", "ben"]) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<10).map { 50_000 + $0 }, seed: 1)
        try await household.found("anna")
        try await household.join("ben", through: "anna")
        try await household.waitUntilSettled()

        try await anna.stopAvahi()
        try await ben.stopAvahi(SIGKILL)
        try await eventually("ben's status tells that discovery is off") {
          try await household.status(of: "ben").discovery != "running"
        }
        try await photoArrives(1, from: anna, on: ben, "without Avahi, over the connection that is open")
        try await anna.startAvahi()
        try await ben.startAvahi()
        try await eventually(within: .seconds(40), "discovery runs again") {
          try await household.status(of: "ben").discovery == "running"
        }

        try await ben.cut()
        try GeneratedPhotos.write("\(anna.photos)/during.jpg", bytes: 3_000_000, seed: 41)
        let sequence = try await anna.mantel("ls", "*/during.jpg", "--json")
        #expect(sequence.exitCode == 0)
        try await waitFor(seconds: LabScale.of(4, long: 60))
        try await ben.heal()
        try await photoArrives(2, from: anna, on: ben, "after the cable was back", within: .seconds(120))

        try await household.agent(of: "ben").freeze()
        try GeneratedPhotos.write("\(anna.photos)/standstill.jpg", bytes: 3_000_000, seed: 42)
        try await waitFor(seconds: LabScale.of(4, long: 60))
        try await household.agent(of: "ben").thaw()
        try await photoArrives(3, from: anna, on: ben, "after ben stood still", within: .seconds(120))

        try await anna.freeze()
        try await waitFor(seconds: LabScale.of(2, long: 60))
        try await anna.thaw()
        try await photoArrives(
          4, from: anna, on: ben, "after the whole machine stood still", within: .seconds(120))
        try await household.waitUntilSettled()
        try household.expectReplicated()
      }
    }

    @Test func agentsThatStartBeforeAvahiFindEachOtherOnceItRuns() async throws {
      try await withApartMachines { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        for machine in [anna, ben] {
          try await machine.startBus()
          try await machine.startAvahi()
        }
        try await household.waitUntilConnected("anna", to: "ben", within: .seconds(60))
        try await household.waitUntilSettled()
        try household.expectReplicated()
      }
    }

    @Test func withoutAvahiAGivenAddressDoes() async throws {
      try await withApartMachines { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        #expect(try await anna.mantel("peers", "add", "nonsense:0:1").exitCode == 64)
        try await anna.mantel("peers", "add", "\(ben.address):50002").succeeded()
        #expect(try await household.peers(of: "anna").fixedAddresses == ["\(ben.address):50002"])
        try await household.waitUntilConnected("anna", to: "ben")
        try await household.waitUntilSettled()
        try household.expectReplicated()
        try await anna.mantel("peers", "remove", "\(ben.address):50002", "--yes").succeeded()
        #expect(try await household.peers(of: "anna").fixedAddresses.isEmpty)
      }
    }

    /// Two members without Avahi that know of each other only addresses where nobody listens any more.
    private func withApartMachines(_ body: (LabHousehold) async throws -> Void) async throws {
      try await LabHousehold.withMachines(["anna", "ben"], daemons: false) { household in
        let (anna, ben) = (try household["anna"], try household["ben"])
        try anna.makePhotos((0..<10).map { 50_000 + $0 }, seed: 1)
        try ben.makePhotos((0..<10).map { 40_000 + $0 }, seed: 2)
        try await household.found("anna")
        try await household.join("ben", through: "anna", byAddress: true)
        try await household.waitUntilConnected("ben", to: "anna")
        try await household.stop("ben")
        try await household.stop("anna")
        try await household.start("anna", "--listen", "50001")
        try await household.start("ben", "--listen", "50002")
        let status = try await household.status(of: "anna")
        #expect(status.listeningPort == 50_001 && status.discovery != "running")
        #expect(status.peer("ben")?.isConnected == false)
        try await body(household)
      }
    }

    private func photoArrives(
      _ number: Int, from owner: LabMachine, on holder: LabMachine, _ when: String,
      within limit: Duration = .seconds(30)
    ) async throws {
      try GeneratedPhotos.write(
        "\(owner.photos)/photo \(number).jpg", bytes: 400_000, seed: UInt64(100 + number))
      try await eventually(within: limit, "a new photo arrives \(when)") {
        try FolderImage(owner.photos).differences(from: FolderImage(holder.copies(of: owner))).isEmpty
      }
    }

    private func waitFor(seconds: Int) async throws {
      let end = ContinuousClock.now + .seconds(seconds)
      try await eventually(within: .seconds(seconds + 1), "\(seconds) s have passed") {
        ContinuousClock.now >= end
      }
    }
  }
}
