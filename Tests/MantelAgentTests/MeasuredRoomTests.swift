import Foundation
import MantelDisk
import MantelReplication
import Testing

@testable import MantelAgent

/// What the decisions are told of the disks.
@Suite(.timeLimit(.minutes(1))) struct MeasuredRoomTests {
  /// Libraries are installed then, too. Fails where the room is not measured without the replica (`measureCatalog`).
  @Test func theCatalogsDiskIsMeasuredWhileTheReplicaIsAway() async throws {
    let ben = try await InstalledHome()
    let replica = try Replica.open(
      root: Array(ben.replica.utf8), machine: ben.key.machine, create: false)
    try await ben.withEngine(over: replica) { engine, effects in
      try FileManager.default.moveItem(atPath: ben.replica, toPath: ben.replica + " away")
      await effects.measureRoom(engine: engine)
      #expect(await engine.ask { $0.isReplicaAway })
      #expect(await engine.ask { $0.catalogSpace != nil })
    }
  }
}
