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

  private struct Served {
    var answers: [StoreAnswer] = []
    /// Contents that are known to be here, and of which nothing could be read.
    var unreadable: [ContentID] = []
    /// Own files that could not be read.
    var failed: [OwnSource] = []
  }

  /// In one piece of work: the catalog is asked once, and files that lie side by side are opened in one directory.
  private func serve(_ reads: [UnitRead]) async -> [StoreAnswer] {
    guard !reads.isEmpty else { return [] }
    do {
      let served = try await effects.disk.run { [self] () throws -> Served in
        let files = try engine.catalog.sources(of: reads.map { $0.unit.content })
        var reader = SeriesReader(replica: effects.replica)
        var served = Served()
        served.answers.reserveCapacity(reads.count)
        for (read, files) in zip(reads, files) {
          let result = answer {
            try serve(read, from: sources(of: read.unit, files), &reader, &served)
          }
          served.answers.append(result)
        }
        return served
      }
      // Before the answers: who asks for what is away waits for that, and hears of it with the refusal.
      if !served.unreadable.isEmpty { await engine.handle(.couldNotServe(served.unreadable)) }
      look(at: served.failed)
      return served.answers
    } catch {
      effects.logger.debug("reads for a peer failed", metadata: ["error": "\(error)"])
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
      return await serveManifest(of: unit, offset: offset, maximumBytes: maximumBytes, for: session)
    }
  }

  private func read(_ body: @escaping @Sendable () throws -> StoreAnswer) async -> StoreAnswer {
    do {
      return try await effects.disk.run { [self] in answer(body) }
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
    _ read: UnitRead, from sources: [ContentSource], _ reader: inout SeriesReader,
    _ served: inout Served
  ) throws -> StoreAnswer {
    var refusal = Outcome.notHeld
    for source in sources {
      do {
        guard let range = UnitLayout(size: source.size).range(of: read.unit.part),
          read.offset <= UInt64(range.count)
        else { return .refused(.notHeld) }
        let count = Int(min(UInt64(read.maximumBytes), UInt64(range.count) - read.offset))
        let bytes = try self.bytes(of: source, at: range.lowerBound + read.offset, count, &reader)
        guard bytes.readableBytes == count else { throw DiskError(.changed, path: [], operation: "serve") }
        return .read(bytes, unitBytes: UInt64(range.count))
      } catch let error as DiskError {
        refusal = error.code == .changed ? .changed : .notHeld
        if case .own(let own) = source { served.failed.append(own) } else { doubt(source, error) }
      }
    }
    // What a restore had fetched, while the disk of the file is away.
    if sources.contains(where: \.isFile), let left = staged(read.unit) {
      let answer = try serve(read, from: [left], &reader, &served)
      guard case .refused(.notHeld) = answer else { return answer }
    }
    // Whatever the reason: below a mount point whose disk is away there may be another file.
    if sources.contains(where: \.isWhole) { served.unreadable.append(read.unit.content) }
    return .refused(refusal)
  }

  /// A manifest is not stored beside a file: it is one pass over it, remembered for the pages that follow.
  private func serveManifest(
    of unit: UnitID, offset: UInt64, maximumBytes: Int, for session: SessionID
  ) async -> StoreAnswer {
    do {
      guard try await effects.disk.run({ [self] in try !manifestSources(of: unit).isEmpty }) else {
        return .refused(.notHeld)
      }
      let finding = manifests.find(unit.content, for: session) { [self] in
        // Files are looked for when the turn comes: until then they may have moved.
        try await effects.hashing.run { [self] in try makeManifest(of: unit) }
      }
      switch try await finding.value {
      case .refused(let outcome):
        if outcome == .notHeld || outcome == .changed { await engine.handle(.couldNotServe([unit.content])) }
        return .refused(outcome)
      case .bytes(let bytes):
        guard offset <= UInt64(bytes.count) else { return .refused(.notHeld) }
        let page = bytes.dropFirst(Int(offset)).prefix(maximumBytes)
        return .read(ByteBuffer(bytes: page), unitBytes: UInt64(bytes.count))
      }
    } catch {
      effects.logger.debug("a manifest for a peer failed", metadata: ["error": "\(error)"])
      return .refused(.failed)
    }
  }

  /// On the hashing pool: a pass over whatever file here has the content; it ends early when the agent does.
  private func makeManifest(of unit: UnitID) throws -> FoundManifest {
    var refusal = Outcome.notHeld
    for source in try manifestSources(of: unit) {
      do {
        let file = try hash(source)
        guard file.content == unit.content, let manifest = file.manifest else {
          throw DiskError(.changed, path: [], operation: "manifest")
        }
        return .bytes(manifest.bytes)
      } catch let error as DiskError {
        // The agent ends: nothing was found out about the file.
        guard error.code != .cancelled else { return .refused(.cancelled) }
        refusal = error.code == .changed ? .changed : .notHeld
        doubt(source, error)
      }
    }
    return .refused(refusal)
  }

  /// On the disk pool: what a file here answers to a challenge.
  private func prove(_ challenge: Challenge) throws -> StoreAnswer {
    var refusal = Outcome.notHeld
    var reader = SeriesReader(replica: effects.replica)
    for source in try sources(of: UnitID(content: challenge.content, part: .whole)) {
      // Who asks for more than there is, is no reason to doubt the file.
      guard challenge.offset + UInt64(challenge.count) <= source.size else { continue }
      do {
        let bytes = try self.bytes(of: source, at: challenge.offset, Int(challenge.count), &reader)
        guard bytes.readableBytes == Int(challenge.count) else {
          throw DiskError(.changed, path: [], operation: "prove")
        }
        return .proof(challenge.answer(from: Array(bytes.readableBytesView)))
      } catch let error as DiskError {
        if error.code != .notFound { refusal = .failed }
        doubt(source, error)
      }
    }
    return .refused(refusal)
  }

  private let manifests = ManifestCache()

  // MARK: Files

  private func sources(of unit: UnitID) throws -> [ContentSource] {
    try engine.catalog.sources(of: [unit.content]).flatMap { sources(of: unit, $0) }
  }

  /// What is one unit has no manifest: a peer that asks for one costs no read, and is no reason to doubt the file.
  private func manifestSources(of unit: UnitID) throws -> [ContentSource] {
    try sources(of: unit).filter { !UnitLayout(size: $0.size).isWhole }
  }

  private func sources(of unit: UnitID, _ files: ContentFiles) -> [ContentSource] {
    let sources = files.replica.map { ContentSource.replica($0) } + files.own.map { ContentSource.own($0) }
    if !sources.isEmpty { return sources }
    return staged(unit).map { [$0] } ?? []
  }

  private func staged(_ unit: UnitID) -> ContentSource? {
    if let size = effects.replica.stagedSize(unit.content) { return .staged(unit.content, size: size) }
    guard case .block = unit.part, let staged = effects.sink.staged(unit.content) else { return nil }
    return .blocks(staged)
  }

  /// Fewer at the end of the file. They are read to where they are sent from.
  private func bytes(
    of source: ContentSource, at offset: UInt64, _ count: Int, _ reader: inout SeriesReader
  ) throws -> ByteBuffer {
    let path: [UInt8]
    let root: SeriesReader.Root
    let stamp: FileStamp?
    switch source {
    case .replica(let file):
      path = file.path
      root = .replica
      stamp = nil
    case .own(let own):
      path = own.file.path
      root = .folder(own.root)
      stamp = own.file.stamp
    case .staged(let content, _):
      return ByteBuffer(bytes: try effects.replica.readStaged(content, offset: offset, count: count))
    case .blocks(let staged):
      return ByteBuffer(bytes: try staged.readVerified(at: offset, count: count))
    }
    var bytes = ByteBufferAllocator().buffer(capacity: count)
    _ = try bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
      try reader.read(
        path, below: root, at: offset, into: UnsafeMutableRawBufferPointer(rebasing: room[..<count]),
        expecting: stamp)
    }
    return bytes
  }

  private func hash(_ source: ContentSource) throws -> HashedFile {
    switch source {
    case .replica(let file): try effects.replica.hash(path: file.path) { effects.isRunning }
    case .own(let own):
      try FileReader.hash(root: own.root, path: own.file.path, fsync: false) { effects.isRunning }
    case .staged, .blocks: throw DiskError(.notFound, path: [], operation: "manifest")
    }
  }

  /// A read failed: somebody looks at the file.
  private func doubt(_ source: ContentSource, _ error: DiskError) {
    switch source {
    case .replica(let file): effects.doubt(file, because: error, engine: engine)
    case .own(let own): look(at: [own])
    case .staged, .blocks: break
    }
  }

  /// Own files could not be read. Those on a disk that is away say nothing by that, however many a peer asks for.
  private func look(at files: [OwnSource]) {
    guard !files.isEmpty else { return }
    Task { [effects, engine] in
      let here = await engine.ask { replicator in
        files.filter { !replicator.isAway($0.file.folder, $0.file.path) }
      }
      for own in here {
        let file = own.file
        if let sight = await effects.sight(root: own.root, path: file.path, isClosed: false) {
          await engine.handle(.sighted(file.folder, file.path, sight))
        }
      }
    }
  }
}

/// A file here that has a content.
private enum ContentSource {
  case replica(ReplicaFile)
  case own(OwnSource)
  /// Verified, and not landed yet.
  case staged(ContentID, size: UInt64)
  /// Still being fetched: the blocks that are verified.
  case blocks(StagedContent)

  /// Has all of it: what is still being fetched is offered to nobody as a whole.
  var isWhole: Bool { if case .blocks = self { false } else { true } }

  /// Landed, or the user's.
  var isFile: Bool {
    switch self {
    case .replica, .own: true
    case .staged, .blocks: false
    }
  }

  var size: UInt64 {
    switch self {
    case .replica(let file): file.stamp.size
    case .own(let own): own.file.stamp.size
    case .staged(_, let size): size
    case .blocks(let staged): staged.size
    }
  }
}
