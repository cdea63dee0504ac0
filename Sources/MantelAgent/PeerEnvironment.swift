import Logging
import MantelCore
import MantelCatalog
import MantelDisk
import MantelReplication
import MantelSession
import MantelTransport
import MantelWire
import NIOCore
import Synchronization

/// What the transport asks of the agent: who may connect, what to say, what to answer.
final class PeerEnvironment: SessionEnvironment {
  private let engine: Engine
  private let effects: Effects
  private let invitations: Invitations
  private let greeting: Mutex<Greeting>
  private let rates: TransferRates
  /// Sessions of machines that were admitted and are no members yet: they are given nothing.
  private let guests = Mutex<Set<SessionID>>([])
  private let onEnd = Mutex<(@Sendable () -> Void)?>(nil)

  init(
    engine: Engine, effects: Effects, invitations: Invitations, greeting: Greeting,
    rates: TransferRates
  ) {
    self.engine = engine
    self.effects = effects
    self.invitations = invitations
    self.greeting = Mutex(greeting)
    self.rates = rates
  }

  /// `onEnd` is called after a session has ended.
  func wire(onEnd: @escaping @Sendable () -> Void) { self.onEnd.withLock { $0 = onEnd } }

  func setListeningPort(_ port: UInt16) { greeting.withLock { $0.listeningPort = port } }

  func authorises(_ peer: MachineID) -> Bool { engine.members.contains(peer) }
  var answersNewcomers: Bool { invitations.answersNewcomers }
  func join(_ connection: JoinConnection) async { await invitations.join(connection) }

  func configuration(
    for peer: MachineID, isDialer: Bool, session: SessionID
  ) async -> SessionConfiguration? {
    let greeted = await engine.greet(
      peer, isDialer: isDialer, session: session, greeting: greeting.withLock { $0 })
    if greeted?.isForGuest == true { guests.withLock { _ = $0.insert(session) } }
    return greeted?.configuration
  }

  func received(_ event: SessionEvent, on session: SessionID) async {
    let link = LinkID(session.number)
    switch event {
    case .unitBegan: break
    case .unitData(let unit, let buffer):
      rates.received(buffer.readableBytes)
      effects.sink.received(buffer, of: unit, on: link)
    case .unitEnded(let unit, .complete):
      await effects.sink.completed(unit, on: link) { [engine] in await engine.handle($0) }
    case .unitEnded(let unit, let outcome):
      effects.sink.abandoned(unit, on: link)
      await engine.handle(.unitEnded(link, unit, LinkOutcome(outcome)))
    default: await engine.received(event, on: session)
    }
  }

  func ended(_ session: SessionID, peer: MachineID) async {
    effects.sink.ended(LinkID(session.number))
    await engine.ended(session)
    guests.withLock { _ = $0.remove(session) }
    onEnd.withLock { $0 }?()
  }

  // MARK: Serving

  func answer(_ queries: [StoreQuery], for session: SessionID) async -> [StoreAnswer] {
    // Not for ever: as a member it is given what it asks for.
    guard !guests.withLock({ $0.contains(session) }) else { return queries.map { _ in .refused(.busy) } }
    var answers: [StoreAnswer] = []
    var reads: [UnitRead] = []
    for query in queries {
      if case .read(let unit, let offset, let maximumBytes) = query, unit.part != .manifest {
        reads.append(UnitRead(unit: unit, offset: offset, maximumBytes: maximumBytes))
      } else {
        answers += await serve(reads)
        reads = []
        answers.append(await answer(query, for: session))
      }
    }
    return answers + (await serve(reads))
  }

  private struct UnitRead {
    var unit: UnitID
    var offset: UInt64
    var maximumBytes: Int
  }

  /// In one piece of work.
  private func serve(_ reads: [UnitRead]) async -> [StoreAnswer] {
    guard !reads.isEmpty else { return [] }
    do {
      return try await effects.disk.run { [self] in
        reads.map { read in
          answer { try serve(read.unit, offset: read.offset, maximumBytes: read.maximumBytes) }
        }
      }
    } catch {
      return reads.map { _ in .refused(.failed) }
    }
  }

  private func answer(_ query: StoreQuery, for session: SessionID) async -> StoreAnswer {
    switch query {
    case .snapshot(let set): return .snapshot(await engine.snapshot(of: ComparedSet(set), for: session))
    case .delta(let library, let from, let to, let cursor):
      return await read { [catalog = engine.catalog] in
        guard
          let page = try catalog.delta(
            library, from: from, to: to, cursor: cursor, maximumBytes: 256 << 10)
        else { return .refused(.unknownHead) }
        return .delta(added: page.added, removed: page.removed, next: page.next)
      }
    case .entries(let library, let ids):
      return await read { [catalog = engine.catalog] in
        .entries(try catalog.entryBytes(library, ids))
      }
    case .choose(let units, let count):
      return .chosen(await engine.choose(units, count: count, for: session))
    case .prove(let challenge):
      return await read { [self] in try prove(challenge) }
    case .read(let unit, let offset, let maximumBytes):
      // A manifest is a pass over its whole file.
      return await read(on: effects.hashing) { [self] in
        try serve(unit, offset: offset, maximumBytes: maximumBytes)
      }
    }
  }

  private func read(
    on pool: BlockingPool? = nil, _ body: @escaping @Sendable () throws -> StoreAnswer
  ) async -> StoreAnswer {
    do {
      return try await (pool ?? effects.disk).run { [self] in answer(body) }
    } catch {
      return .refused(.failed)
    }
  }

  /// On a pool: what a failure means to a peer.
  private func answer(_ body: () throws -> StoreAnswer) -> StoreAnswer {
    do {
      return try body()
    } catch let error as DiskError where error.code == .changed {
      return .refused(.changed)
    } catch let error as DiskError where error.code == .notFound {
      return .refused(.notHeld)
    } catch {
      effects.logger.debug("a read for a peer failed", metadata: ["error": "\(error)"])
      return .refused(.failed)
    }
  }

  /// On the disk pool: bytes of a unit from whatever file here has the content.
  private func serve(
    _ unit: UnitID, offset: UInt64, maximumBytes: Int
  ) throws -> StoreAnswer {
    var refusal = Outcome.notHeld
    for source in try sources(of: unit) {
      do {
        if unit.part == .manifest {
          return try manifest(of: source, offset: offset, maximumBytes: maximumBytes)
        }
        guard let range = UnitLayout(size: source.size).range(of: unit.part),
          offset <= UInt64(range.count)
        else { return .refused(.notHeld) }
        let count = Int(min(UInt64(maximumBytes), UInt64(range.count) - offset))
        let bytes = try source.read(range.lowerBound + offset, count)
        guard bytes.count == count else { throw DiskError(.changed, path: [], operation: "serve") }
        return .read(ByteBuffer(bytes: bytes), unitBytes: UInt64(range.count))
      } catch let error as DiskError {
        refusal = error.code == .changed ? .changed : .notHeld
        source.doubt(engine, error)
      }
    }
    return .refused(refusal)
  }

  /// On the disk pool: what a file here answers to a challenge.
  private func prove(_ challenge: Challenge) throws -> StoreAnswer {
    var refusal = Outcome.notHeld
    for source in try sources(of: challenge.content) {
      // Who asks for more than there is, is no reason to doubt the file.
      guard challenge.offset + UInt64(challenge.count) <= source.size else { continue }
      do {
        let bytes = try source.read(challenge.offset, Int(challenge.count))
        guard bytes.count == Int(challenge.count) else {
          throw DiskError(.changed, path: [], operation: "prove")
        }
        return .proof(challenge.answer(from: bytes))
      } catch let error as DiskError {
        if error.code != .notFound { refusal = .failed }
        source.doubt(engine, error)
      }
    }
    return .refused(refusal)
  }

  /// A manifest is not stored beside a file: it is one pass over it, remembered for the pages that follow.
  private func manifest(
    of source: ContentSource, offset: UInt64, maximumBytes: Int
  ) throws -> StoreAnswer {
    let bytes = try manifests.bytes(of: source)
    guard offset <= UInt64(bytes.count) else { return .refused(.notHeld) }
    let page = bytes.dropFirst(Int(offset)).prefix(maximumBytes)
    return .read(ByteBuffer(bytes: page), unitBytes: UInt64(bytes.count))
  }

  private let manifests = ManifestCache()

  private func sources(of unit: UnitID) throws -> [ContentSource] {
    let whole = try sources(of: unit.content)
    guard whole.isEmpty, case .block = unit.part, let staged = effects.sink.staged(unit.content) else {
      return whole
    }
    return [
      ContentSource(content: unit.content, size: staged.size) {
        try staged.readVerified(at: $0, count: $1)
      } hash: {
        throw DiskError(.notFound, path: [], operation: "manifest")
      } doubt: { _, _ in
      }
    ]
  }

  private func sources(of content: ContentID) throws -> [ContentSource] {
    let replica = effects.replica
    let files = try engine.catalog.sources(of: content)
    var sources = files.replica.map { file in
      ContentSource(content: content, size: file.stamp.size) {
        try replica.read(path: file.path, offset: $0, count: $1)
      } hash: {
        try replica.hash(path: file.path)
      } doubt: { [effects] engine, error in
        effects.doubt(file, because: error, engine: engine)
      }
    }
    for (root, file) in files.own {
      sources.append(
        ContentSource(content: content, size: file.stamp.size) {
          try FileReader.read(
            root: root, path: file.path, offset: $0, count: $1, expecting: file.stamp)
        } hash: {
          try FileReader.hash(root: root, path: file.path, fsync: false)
        } doubt: { [effects] engine, _ in
          Task {
            if let sight = await effects.sight(root: root, path: file.path, isClosed: false) {
              await engine.handle(.sighted(file.folder, file.path, sight))
            }
          }
        })
    }
    // Verified, and not landed yet.
    if sources.isEmpty, let size = replica.stagedSize(content) {
      sources.append(
        ContentSource(content: content, size: size) {
          try replica.readStaged(content, offset: $0, count: $1)
        } hash: {
          throw DiskError(.notFound, path: [], operation: "manifest")
        } doubt: { _, _ in
        })
    }
    return sources
  }
}

/// A file here that has a content.
struct ContentSource: Sendable {
  let content: ContentID
  let size: UInt64
  /// Offset and count to bytes.
  let read: @Sendable (UInt64, Int) throws -> [UInt8]
  let hash: @Sendable () throws -> HashedFile
  /// A read failed: somebody looks at the file.
  let doubt: @Sendable (Engine, DiskError) -> Void

  init(
    content: ContentID, size: UInt64, read: @escaping @Sendable (UInt64, Int) throws -> [UInt8],
    hash: @escaping @Sendable () throws -> HashedFile,
    doubt: @escaping @Sendable (Engine, DiskError) -> Void
  ) {
    self.content = content
    self.size = size
    self.read = read
    self.hash = hash
    self.doubt = doubt
  }
}

/// Manifests of large contents that were asked for lately: a few, because each costs a pass over its file.
final class ManifestCache: Sendable {
  private static let limit = 8
  private let state = Mutex<[(content: ContentID, bytes: [UInt8])]>([])

  func bytes(of source: ContentSource) throws -> [UInt8] {
    if let known = state.withLock({ $0.first { $0.content == source.content } }) {
      return known.bytes
    }
    let file = try source.hash()
    guard file.content == source.content, let manifest = file.manifest else {
      throw DiskError(.changed, path: [], operation: "manifest")
    }
    let bytes = manifest.bytes
    state.withLock { state in
      state.append((source.content, bytes))
      if state.count > Self.limit { state.removeFirst() }
    }
    return bytes
  }
}
