import Foundation
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold
import MantelReplication
import MantelTestSupport
import Testing

@testable import MantelAgent

/// The file beside the copies that names the last head of this machine.
@Suite(.timeLimit(.minutes(1))) struct GuardFileTests {
  private let ben: InstalledHome
  private let household: HouseholdID
  private let replica: Replica

  init() async throws {
    // With another member, who may have seen more: a recovery waits for it.
    ben = try await InstalledHome(memberOf: MemoryHousehold())
    replica = try Replica.open(root: Array(ben.replica.utf8), machine: ben.key.machine, create: false)
    household = try ben.withCatalog { catalog in
      Roster(stored: try catalog.statements().map { try SignedStatement(bytes: $0) }).household
    }
  }

  private func head(_ sequence: UInt64, by key: DeviceKey? = nil, root: UInt64 = 0) throws -> Signed<Head> {
    let key = key ?? ben.key
    return try key.sign(
      Head(
        library: key.machine, signer: key.machine, order: HeadOrder(epoch: 1 << 60, sequence: sequence),
        root: Digest256(root, 0, 0, 0), counts: LibraryCounts(), time: WallTime(nanoseconds: 1)),
      in: household)
  }

  private func withEngine(_ body: (Engine, Effects) async throws -> Void) async throws {
    try await ben.withEngine(over: replica, body)
  }

  private func kept() throws -> Signed<Head>? { try replica.kept(.guard).map { try Signed<Head>(bytes: $0) } }

  @Test func theLastOfManyIsWhatItNames() async throws {
    let heads = try (1...40).map { try head(UInt64($0)) }
    try await withEngine { engine, effects in
      for head in heads { effects.keepGuard(head, engine: engine) }
    }
    #expect(try kept() == heads.last)
    #expect(!ben.exists(ben.replica + "/.mantel/guard.new"))
  }

  /// Of an old catalog: what it publishes must not hide what was published since.
  @Test(arguments: [(UInt64(9), UInt64(0)), (4, 0), (3, 1)])
  func aNewerOneStaysAndIsTold(sequence: UInt64, root: UInt64) async throws {
    let newer = try head(sequence, root: root)
    try await withEngine { engine, effects in
      #expect(await engine.ask { !$0.isRecovering })
      try replica.keep(.guard, newer.bytes)
      effects.keepGuard(try head(3), engine: engine)
      try await eventually("the engine knows of the newer head") {
        await engine.ask { $0.isRecovering }
      }
    }
    #expect(try kept() == newer)
  }

  @Test func aCatalogWithoutAHeadLooksToo() async throws {
    let newer = try head(1)
    try await withEngine { engine, effects in
      try replica.keep(.guard, newer.bytes)
      effects.keepGuard(nil, engine: engine)
      try await eventually("the engine knows of the newer head") {
        await engine.ask { $0.isRecovering }
      }
    }
    #expect(try kept() == newer)
  }

  @Test func withoutAHeadNothingIsWritten() async throws {
    try await withEngine { engine, effects in effects.keepGuard(nil, engine: engine) }
    #expect(try kept() == nil)
  }

  /// Damaged, of the key that this installation had before a rekey, or older: nothing that is worth keeping.
  @Test func whatSaysNothingIsReplaced() async throws {
    let mine = try head(5)
    let worthless = [
      Array("garbage".utf8), Array(try head(4).bytes.dropLast()), try head(8, by: DeviceKey()).bytes,
      try head(4).bytes,
    ]
    for bytes in worthless {
      try replica.keep(.guard, bytes)
      try await withEngine { engine, effects in effects.keepGuard(mine, engine: engine) }
      #expect(try kept() == mine)
    }
  }

  @Test func aReplicaThatIsAwayGetsItWithTheNextHead() async throws {
    let away = ben.replica + " away"
    let (first, second) = (try head(1), try head(2))
    try await withEngine { engine, effects in
      try FileManager.default.moveItem(atPath: ben.replica, toPath: away)
      effects.keepGuard(first, engine: engine)
      try await eventually("the attempt is over") { !effects.guarding.withLock { $0.isWriting } }
      #expect(!ben.exists(ben.replica))
      try FileManager.default.moveItem(atPath: away, toPath: ben.replica)
      #expect(try kept() == nil)
      effects.keepGuard(second, engine: engine)
    }
    #expect(try kept() == second)
  }

  // MARK: At the start

  @Test func anAgentBeginsWithWhatItNames() async throws {
    try replica.keep(.guard, try head(7).bytes)
    try await withEngine { engine, effects in
      #expect(effects.guardedHead()?.record.order.sequence == 7)
      #expect(await engine.ask { $0.isRecovering }, "the catalog knows of no head")
    }
    // A copy that was made while a head is missing would be the wrong beginning.
    #expect(try replica.kept(.household) == nil)
  }

  @Test func whatCannotBeReadSaysNothing() async throws {
    try replica.keep(.guard, [1, 2, 3])
    try await withEngine { engine, effects in
      #expect(effects.guardedHead() == nil)
      #expect(await engine.ask { !$0.isRecovering })
    }
  }

  @Test func theHouseholdIsKeptOnceAndNotWhileTheCatalogIsBehind() async throws {
    try await withEngine { engine, effects in
      await effects.keepHousehold(from: engine.catalog, engine: engine)
      let copy = try HouseholdCopy(engine.catalog)
      #expect(try replica.kept(.household) == copy.bytes)
      // Kept already: not written again.
      let inode =
        try FileManager.default.attributesOfItem(atPath: ben.replica + "/.mantel/household")[
          .systemFileNumber] as? Int
      await effects.keepHousehold(from: engine.catalog, engine: engine)
      #expect(
        try FileManager.default.attributesOfItem(atPath: ben.replica + "/.mantel/household")[
          .systemFileNumber]
          as? Int == inode)

      try replica.keep(.guard, try head(7).bytes)
      effects.keepGuard(nil, engine: engine)
      try await eventually("the engine knows of the newer head") { await engine.ask { $0.isRecovering } }
      try engine.catalog.setValue(.machineName, Array("other".utf8))
      await effects.keepHousehold(from: engine.catalog, engine: engine)
      #expect(try replica.kept(.household) == copy.bytes)
    }
  }

  // MARK: What was refused

  private func contents(_ numbers: [UInt64]) -> [ContentID] {
    numbers.map { ContentID(Digest256($0, 0, 0, 0)) }
  }

  private func keptRefusals() throws -> [ContentID]? {
    try replica.kept(.refused).map { try RefusedDrops(bytes: $0).contents }
  }

  /// The catalog is from before one refusal, and has another; also while it is behind in other things. Fails where the list is
  /// written and not read.
  @Test(arguments: [false, true]) func anOldCatalogLearnsWhatWasRefused(isRecovering: Bool) async throws {
    try replica.keep(.refused, RefusedDrops(contents([2, 3])).bytes)
    if isRecovering { try replica.keep(.guard, try head(7).bytes) }
    try await withEngine { engine, effects in
      #expect(await engine.ask { $0.isRecovering } == isRecovering)
      try engine.catalog.addRefusedDrops(contents([1, 2]))
      await effects.keepHousehold(from: engine.catalog, engine: engine)
      #expect(try engine.catalog.refusedDrops() == contents([1, 2, 3]))
      #expect(try keptRefusals() == contents(isRecovering ? [2, 3] : [1, 2, 3]))
      try engine.catalog.addRefusedDrops(contents([4]))
      await effects.keepHousehold(from: engine.catalog, engine: engine)
      #expect(try keptRefusals() == contents(isRecovering ? [2, 3] : [1, 2, 3, 4]))
    }
  }

  /// Nobody refused anything, or it cannot be told. Fails where only what the catalog lacks is told (`takeBackRefusals`).
  @Test(arguments: [nil, RefusedDrops([]).bytes, [7]] as [[UInt8]?])
  func theTrashWaitsForTheList(list: [UInt8]?) async throws {
    if let list { try replica.keep(.refused, list) }
    try await withEngine { engine, effects in
      #expect(await engine.ask { !$0.areRefusalsKnown })
      await effects.takeBackRefusals(engine: engine)
      #expect(await engine.ask { $0.areRefusalsKnown } == (list != [7]))
    }
  }

  /// After an outage of the catalog. Fails where the list is read once a run (`takeBackRefusals`).
  @Test func decisionsThatWereLoadedAnewAreToldToo() async throws {
    let key = ben.key
    try await withEngine { engine, effects in
      let catalog = engine.catalog
      await effects.takeBackRefusals(engine: engine)
      try await engine.ask {
        $0 = try Setup.replicator(catalog: catalog, key: key, filesystem: FolderID(high: 1, low: 1))
      }
      #expect(await engine.ask { !$0.areRefusalsKnown })
      await effects.takeBackRefusals(engine: engine)
      #expect(await engine.ask { $0.areRefusalsKnown })
    }
  }

  /// Fails where it is written over.
  @Test func refusalsThatCannotBeReadStayAsTheyAre() async throws {
    try replica.keep(.refused, [7])
    try await withEngine { engine, effects in
      try engine.catalog.addRefusedDrops(contents([1]))
      await effects.keepHousehold(from: engine.catalog, engine: engine)
      #expect(try replica.kept(.refused) == [7])
      #expect(try replica.kept(.household) != nil, "nothing else waits for it")
      // Put back by a person.
      try replica.keep(.refused, RefusedDrops(contents([2])).bytes)
      await effects.keepHousehold(from: engine.catalog, engine: engine)
      #expect(try keptRefusals() == contents([1, 2]))
    }
  }
}
