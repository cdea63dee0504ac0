import Foundation
import MantelCatalog
import MantelCore
import MantelDisk
import MantelReplication
import MantelSession
import MantelTestSupport
import MantelTransport
import MantelWire
import NIOCore
import Testing

@testable import MantelAgent

/// What peers are told that ask for what lies on a disk that is away.
@Suite(.timeLimit(.minutes(1))) struct ServingAwayTests {
  private let ben: InstalledHome
  private let bytes = [UInt8](repeating: 7, count: 1_000)

  init() async throws { ben = try await InstalledHome() }

  private func openReplica() throws -> Replica {
    try Replica.open(root: Array(ben.replica.utf8), machine: ben.key.machine, create: false)
  }

  private func peers(_ engine: Engine, _ effects: Effects) -> PeerEnvironment {
    PeerEnvironment(
      engine: engine, effects: effects,
      invitations: Invitations(key: ben.key, logger: InstalledHome.logger),
      greeting: Greeting(machine: ben.key.machine, listeningPort: 0), rates: TransferRates())
  }

  private func ask(_ peers: PeerEnvironment, for unit: UnitID) async throws -> StoreAnswer {
    let answers = await peers.answer(
      [.read(unit, offset: 0, maximumBytes: Limits.wholeUnitBytes)], for: SessionID(number: 1))
    return try #require(answers.first)
  }

  /// Nil when the bytes came.
  private func refusal(_ peers: PeerEnvironment, of unit: UnitID) async throws -> Outcome? {
    guard case .refused(let outcome) = try await ask(peers, for: unit) else { return nil }
    return outcome
  }

  /// How many contents a peer is shown.
  private func offered(_ engine: Engine) async -> Int { await engine.ask { $0.holdings().count } }

  private func move(_ directory: String, to other: String) throws {
    try FileManager.default.moveItem(atPath: directory, toPath: other)
  }

  /// A photo, and a film, of which peers ask for the manifest first. Fails where a replica file that cannot be read is no reason to
  /// tell the decisions of it (`PeerEnvironment.serve`).
  @Test(arguments: [1_000, Limits.wholeUnitBytes + 1])
  func whatTheReplicaHasIsWithdrawnWhileItIsAway(size: Int) async throws {
    let path = "anna/Photos/one.jpg"
    try ben.write("\(ben.replica)/\(path)", [UInt8](repeating: 7, count: size))
    _ = try ReplicaAdoption(home: ben.home, directory: ben.replica).run { _, _ in true }
    let replica = try openReplica()
    let unit = UnitID(
      content: try replica.hash(path: Array(path.utf8)).content,
      part: size > Limits.wholeUnitBytes ? .manifest : .whole)
    let away = ben.replica + " away"
    try await ben.withEngine(over: replica) { engine, effects in
      let peers = peers(engine, effects)
      try move(ben.replica, to: away)
      #expect(try await refusal(peers, of: unit) == .notHeld)
      #expect(await offered(engine) == 1, "the decisions do not know yet that it is away")
      await effects.measureRoom(engine: engine)
      #expect(await offered(engine) == 1, "nobody has asked for it since")
      #expect(try await refusal(peers, of: unit) == .notHeld)
      #expect(await offered(engine) == 0)
      try move(away, to: ben.replica)
      await effects.measureRoom(engine: engine)
      #expect(await offered(engine) == 1)
      #expect(try await refusal(peers, of: unit) == nil)
    }
  }

  /// Fails where a file of the user's that cannot be read is no reason to tell the decisions of it, and, with what is staged, where
  /// that is looked for only when no file is known (`PeerEnvironment.serve`).
  @Test(arguments: [false, true]) func whatAFolderHasIsWithdrawnWhileItIsAwayUnlessItIsStaged(
    isStaged: Bool
  ) async throws {
    let folder = try ben.addFolder("Photos")
    let (root, name) = ("\(ben.directory)/Photos", Array("photo.jpg".utf8))
    try ben.write("\(root)/photo.jpg", bytes)
    let replica = try openReplica()
    let unit = UnitID(
      content: try FileReader.hash(root: folder.root, path: name, fsync: false).content, part: .whole)
    try await ben.withEngine(over: replica) { engine, effects in
      let peers = peers(engine, effects)
      try await publish(name, in: folder, by: engine)
      #expect(await offered(engine) == 1)
      #expect(try await refusal(peers, of: unit) == nil)
      try move(root, to: root + " away")
      await engine.handle(.folderOffline(folder.id))
      if isStaged {
        let area = try replica.openStaging()
        let isWhole = try bytes.withUnsafeBytes { try area.stage(unit.content, $0) }
        #expect(isWhole)
      }
      let expected: Outcome? = isStaged ? nil : .notHeld
      #expect(try await refusal(peers, of: unit) == expected)
      #expect(await offered(engine) == (isStaged ? 1 : 0))
      try replica.discardStaged(unit.content)
      try move(root + " away", to: root)
      await engine.handle(.scanBegan(folder.id))
      #expect(await offered(engine) == 1)
      #expect(try await refusal(peers, of: unit) == nil)
    }
  }

  /// Its disk is away, and below the mount point lies another file. Fails where only a file that is not there is a reason to tell
  /// the decisions of it (`PeerEnvironment.serve`, `PeerEnvironment.serveManifest`).
  @Test(arguments: [1_000, Limits.wholeUnitBytes + 1])
  func whatAFolderHasIsWithdrawnThoughAnotherFileIsInItsPlace(size: Int) async throws {
    let folder = try ben.addFolder("Photos")
    let (root, name) = ("\(ben.directory)/Photos", Array("photo.jpg".utf8))
    try ben.write("\(root)/photo.jpg", [UInt8](repeating: 7, count: size))
    let replica = try openReplica()
    let unit = UnitID(
      content: try FileReader.hash(root: folder.root, path: name, fsync: false).content,
      part: size > Limits.wholeUnitBytes ? .manifest : .whole)
    try await ben.withEngine(over: replica) { engine, effects in
      let peers = peers(engine, effects)
      try await publish(name, in: folder, by: engine)
      #expect(await offered(engine) == 1)
      try move(root, to: root + " away")
      try ben.write("\(root)/photo.jpg", [UInt8](repeating: 8, count: size))
      await engine.handle(.folderOffline(folder.id))
      #expect(try await refusal(peers, of: unit) == .changed)
      #expect(await offered(engine) == 0)
    }
  }

  /// As a walk that finds nothing else would have it, and a writer that has just closed the file.
  private func publish(_ name: [UInt8], in folder: Folder, by engine: Engine) async throws {
    let stamp = try FileReader.stat(root: folder.root, path: name).stamp
    await engine.handle(.scanBegan(folder.id))
    await engine.handle(
      .directoryScanned(
        folder.id,
        DirectorySight(
          directory: [], files: [(path: name, stamp: stamp)], skipped: [], filesystem: folder.filesystem)))
    await engine.handle(.scanEnded(folder.id, isComplete: true))
    await engine.handle(.sighted(folder.id, name, .file(stamp, isClosed: true)))
    try await eventually("the photo is published") {
      try engine.catalog.file(folder.id, name)?.status == .published
    }
  }
}
