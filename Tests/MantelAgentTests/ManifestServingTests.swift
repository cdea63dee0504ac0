import MantelCore
import MantelDisk
import MantelHousehold
import MantelSession
import MantelTransport
import MantelWire
import NIOCore
import Testing

@testable import MantelAgent

/// What peers are told that ask for the manifest of a film.
@Suite(.timeLimit(.minutes(1))) struct ManifestServingTests {
  private let ben: InstalledHome
  private let replica: Replica
  private let film: HashedFile
  /// As large as one unit may be.
  private let photo: HashedFile

  init() async throws {
    ben = try await InstalledHome()
    let (path, small) = ("anna/Photos/film.mp4", "anna/Photos/photo.jpg")
    try ben.write("\(ben.replica)/\(path)", [UInt8](repeating: 7, count: Limits.wholeUnitBytes + 1))
    try ben.write("\(ben.replica)/\(small)", [UInt8](repeating: 7, count: Limits.wholeUnitBytes))
    _ = try ReplicaAdoption(home: ben.home, directory: ben.replica).run { _, _ in true }
    replica = try Replica.open(root: Array(ben.replica.utf8), machine: ben.key.machine, create: false)
    film = try replica.hash(path: Array(path.utf8))
    photo = try replica.hash(path: Array(small.utf8))
  }

  /// The answer to a question for a page of the film's manifest, or of another file's.
  private func ask(
    _ engine: Engine, _ effects: Effects, for file: HashedFile? = nil, offset: UInt64 = 0,
    maximumBytes: Int = Limits.manifestBytes
  ) async throws -> StoreAnswer {
    let peers = PeerEnvironment(
      engine: engine, effects: effects,
      invitations: Invitations(key: ben.key, logger: InstalledHome.logger),
      greeting: Greeting(machine: ben.key.machine, listeningPort: 0), rates: TransferRates())
    let unit = UnitID(content: (file ?? film).content, part: .manifest)
    let answers = await peers.answer(
      [.read(unit, offset: offset, maximumBytes: maximumBytes)], for: SessionID(number: 1))
    return try #require(answers.first)
  }

  @Test func aManifestComesInPages() async throws {
    let expected = try #require(film.manifest).bytes
    try await ben.withEngine(over: replica) { engine, effects in
      var bytes: [UInt8] = []
      for (offset, count) in [(0, 50), (50, Limits.manifestBytes)] {
        let answer = try await ask(engine, effects, offset: UInt64(offset), maximumBytes: count)
        guard case .read(let page, let unitBytes) = answer else {
          Issue.record("refused: \(answer)")
          return
        }
        #expect(unitBytes == UInt64(expected.count))
        bytes += Array(page.readableBytesView)
      }
      #expect(bytes == expected)
    }
  }

  /// A film takes minutes, and whoever ends an agent kills it before that.
  @Test func noFilmIsReadOnceTheAgentEnds() async throws {
    try await ben.withEngine(over: replica) { engine, effects in
      effects.stop()
      let answer = try await ask(engine, effects)
      guard case .refused(let outcome) = answer else {
        Issue.record("read, though the agent ends")
        return
      }
      #expect(outcome == .cancelled)
    }
  }

  /// Else each question has it read, and doubted as one that has changed. Fails where the files of every content are read for a
  /// manifest (`manifestSources`): the answer is *changed*.
  @Test func whatIsOneUnitIsNotReadForAManifest() async throws {
    try await ben.withEngine(over: replica) { engine, effects in
      let answer = try await ask(engine, effects, for: photo)
      guard case .refused(let outcome) = answer else {
        Issue.record("a photo has a manifest")
        return
      }
      #expect(outcome == .notHeld)
    }
  }
}
