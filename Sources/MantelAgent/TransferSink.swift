import MantelCore
import MantelDisk
import MantelReplication
import NIOCore
import Synchronization

/// Where the units of all connections land: collected, written to their staging files and verified on the disk pool.
///
/// A unit is at most `Limits.wholeUnitBytes` (a manifest at most `Limits.manifestBytes`), so it is collected in memory;
/// the bytes that wait for the disk over all connections are bounded, and above the bound the connections wait. What is
/// still coming is bounded by what each connection was asked for (`Limits.windowBytes`): were it to count against that
/// bound, a peer that dribbles would keep all others from the disk.
final class TransferSink: Sendable {
  private let replica: Replica
  private let pool: BlockingPool
  private let state = Mutex(State())
  /// Taken before `state`, which connections and decisions wait for: removing a file may take long.
  private let discarding = Mutex(())
  private let budget = ByteBudget(limit: 64 << 20)

  /// Pieces of work on the pool at once: hashing fills that many cores, and leaves threads to those who read.
  private static let threads = 2
  /// Of one piece of work.
  private static let unitsAtOnce = 128
  private static let bytesAtOnce = 4 << 20
  /// Of a unit that costs as much for its bytes as for its name, which is made by one thread at a time.
  private static let unitWorthBytes = 64 << 10

  private struct State {
    var orders: [LinkID: [UnitID: UnitOrder]] = [:]
    var collecting: [LinkID: [UnitID: CollectedUnit]] = [:]
    /// Whole, and waiting for a thread; the budget bounds their bytes.
    var waiting: [ArrivedUnit] = []
    var waitingBytes = 0
    /// Threads that store.
    var storing = 0
    /// Large contents under way: blocks of several connections go to one staging file.
    var large: [ContentID: StagedContent] = [:]
    /// Contents whose staged bytes are to go, before anything of them is staged anew.
    var doomed: Set<ContentID> = []

    /// Two threads that make files wait for each other at the directory, and kernels spin there, which takes the processor from
    /// whoever has the other end: another one only helps where there is a piece of work for it, and bytes rather than names.
    func needsThread(limit: Int, piece: Int, worth: Int) -> Bool {
      storing == 0 || storing < limit && waitingBytes > max(piece, waiting.count * worth)
    }
  }

  init(replica: Replica, pool: BlockingPool) {
    self.replica = replica
    self.pool = pool
  }

  /// Tells what units a connection was asked for; nothing else is taken from it.
  func expect(_ orders: [UnitOrder], on link: LinkID) {
    state.withLock { state in
      for order in orders { state.orders[link, default: [:]][order.unit] = order }
    }
  }

  func ended(_ link: LinkID) {
    state.withLock {
      $0.orders[link] = nil
      $0.collecting[link] = nil
    }
  }

  // MARK: Units

  /// Changed where it lies: a second reference, if only for a moment, would have each piece copy all that came before it.
  func received(_ buffer: ByteBuffer, of unit: UnitID, on link: LinkID) {
    state.withLock { state in
      guard let order = state.orders[link]?[unit] else { return }
      state.collecting[link, default: [:]][unit, default: CollectedUnit(bytes: order.bytes)].append(buffer)
    }
  }

  /// A unit is whole: returns as soon as there is room for it to wait; `report` is called once it was checked.
  func completed(
    _ unit: UnitID, on link: LinkID, report: @escaping @Sendable (ReplicationEvent) async -> Void
  ) async {
    let taken = state.withLock { state -> (UnitOrder, ByteBuffer)? in
      guard let order = state.orders[link]?.removeValue(forKey: unit) else { return nil }
      return (order, state.collecting[link]?.removeValue(forKey: unit)?.bytes ?? ByteBuffer())
    }
    guard let (order, buffer) = taken else { return }
    await budget.take(buffer.readableBytes)
    let needsThread = state.withLock { state in
      state.waiting.append(ArrivedUnit(order: order, bytes: buffer, link: link))
      state.waitingBytes += buffer.readableBytes
      guard state.needsThread(limit: Self.threads, piece: Self.bytesAtOnce, worth: Self.unitWorthBytes)
      else { return false }
      state.storing += 1
      return true
    }
    if needsThread { Task { await storeWaiting(report: report) } }
  }

  /// Stores what has come until nothing waits: the more the disk lags behind, the more units go in one piece of work, and
  /// in one event.
  private func storeWaiting(report: @Sendable (ReplicationEvent) async -> Void) async {
    while let units = takeWaiting() {
      let events: [ReplicationEvent]
      do {
        events = try await pool.run { self.store(units) }
      } catch {
        // The agent ends.
        events = units.map { .stagingFailed($0.order.unit, .other) }
      }
      budget.give(units.reduce(0) { $0 + $1.bytes.readableBytes })
      for event in events { await report(event) }
    }
  }

  private func takeWaiting() -> [ArrivedUnit]? {
    state.withLock { state in
      var (count, bytes) = (0, 0)
      for next in state.waiting.prefix(Self.unitsAtOnce) {
        bytes += next.bytes.readableBytes
        if count > 0, bytes > Self.bytesAtOnce { break }
        count += 1
      }
      guard count > 0 else {
        state.storing -= 1
        return nil
      }
      let units = Array(state.waiting.prefix(count))
      state.waiting.removeFirst(count)
      state.waitingBytes -= units.reduce(0) { $0 + $1.bytes.readableBytes }
      return units
    }
  }

  /// A unit will not come any more.
  func abandoned(_ unit: UnitID, on link: LinkID) {
    state.withLock {
      $0.orders[link]?[unit] = nil
      $0.collecting[link]?[unit] = nil
    }
  }

  /// On the pool: verifies and writes.
  private func store(_ units: [ArrivedUnit]) -> [ReplicationEvent] {
    var outcome = StoredUnits()
    var area: StagingArea?
    for arrived in units {
      do {
        let isVerified: Bool
        switch arrived.order.unit.part {
        case .manifest:
          outcome.add(manifestEvent(arrived))
          continue
        case .whole:
          let staging = try area ?? replica.openStaging()
          area = staging
          isVerified = try stage(arrived, in: staging)
        case .block(let index): isVerified = try storeBlock(index, arrived)
        }
        outcome.add(arrived, isVerified: isVerified)
      } catch {
        outcome.add(.stagingFailed(arrived.order.unit, StagingFailure(error)))
      }
    }
    return outcome.events
  }

  private func manifestEvent(_ arrived: ArrivedUnit) -> ReplicationEvent {
    let unit = arrived.order.unit
    guard let manifest = try? Manifest(bytes: Array(arrived.bytes.readableBytesView)),
      manifest.hash == arrived.order.hash
    else { return .unitCorrupt(arrived.link, unit) }
    return .manifestVerified(arrived.link, unit.content, manifest)
  }

  private func stage(_ arrived: ArrivedUnit, in area: StagingArea) throws -> Bool {
    guard arrived.bytes.readableBytes == Int(arrived.order.contentBytes) else { return false }
    try discard(arrived.order.unit.content)
    return try arrived.bytes.withUnsafeReadableBytes { try area.stage(arrived.order.unit.content, $0) }
  }

  private func storeBlock(_ index: UInt32, _ arrived: ArrivedUnit) throws -> Bool {
    let order = arrived.order
    do {
      let staged = try largeContent(order.unit.content, size: order.contentBytes)
      return try staged.exclusively {
        try write(arrived.bytes, order.unit.part, to: staged)
        return try staged.verifyBlock(index, expected: order.hash)
      }
    } catch let error as DiskError where error.code == .exists {
      // Another peer's block came first, and was verified.
      return true
    }
  }

  private func write(
    _ buffer: ByteBuffer, _ part: UnitID.Part, to staged: StagedContent
  ) throws {
    guard buffer.readableBytes > 0 else { return }
    try buffer.withUnsafeReadableBytes { try staged.write(part, offset: 0, $0) }
  }

  // MARK: Large contents

  private func largeContent(_ content: ContentID, size: UInt64) throws -> StagedContent {
    try discard(content)
    return try state.withLock { state in
      if let staged = state.large[content] { return staged }
      let staged = try replica.stage(content, size: size)
      state.large[content] = staged
      return staged
    }
  }

  /// A large content that is under way.
  func staged(_ content: ContentID) -> StagedContent? { state.withLock { $0.large[content] } }

  /// The last check of a large content; true when it may be landed.
  func assemble(_ content: ContentID, _ manifest: Manifest) throws -> Bool {
    let staged = try largeContent(content, size: manifest.size)
    let isIntact = try staged.finishLarge(manifest)
    state.withLock { $0.large[content] = nil }
    return isIntact
  }

  /// What is staged of a content by now is to go: `discard` removes it. What is staged from now on stays, however late that is.
  func doom(_ content: ContentID) {
    state.withLock {
      $0.large[content] = nil
      $0.doomed.insert(content)
    }
  }

  /// On the pool. Whoever is about to stage something of it comes here too, and waits for whoever is just removing it.
  func discard(_ content: ContentID) throws {
    try discarding.withLock { _ in
      guard state.withLock({ $0.doomed.remove(content) }) != nil else { return }
      do { try replica.discardStaged(content) } catch {
        state.withLock { _ = $0.doomed.insert(content) }
        throw error
      }
    }
  }

  /// Re-hashes staged bytes of an earlier run: nil (and removed) when they are worth nothing, no blocks for a content
  /// that is whole, else the blocks that are there.
  func recover(
    _ content: ContentID, size: UInt64, partial: PartialContent?
  ) throws -> (blocks: [UInt32]?, isWhole: Bool)? {
    try discard(content)
    // After a failure of the catalog: this process has verified it already.
    if replica.isVerified(content) { return (nil, true) }
    guard let partial else {
      let staged = try replica.restage(content, size: size)
      if UnitLayout(size: size).isWhole, try staged.finishWhole() { return (nil, true) }
      try staged.discard()
      return nil
    }
    let layout = UnitLayout(size: partial.manifest.size)
    let staged = try largeContent(content, size: partial.manifest.size)
    let all = [UInt8](repeating: 0xFF, count: (layout.blockCount + 7) / 8)
    let verified = try staged.resume(manifest: partial.manifest, claimed: all)
    let blocks = (0..<UInt32(layout.blockCount)).filter {
      verified[Int($0 / 8)] & (1 << ($0 % 8)) != 0
    }
    return (blocks, false)
  }
}

extension StagingFailure {
  fileprivate init(_ error: any Error) {
    switch (error as? DiskError)?.code {
    case .noSpace: self = .noSpace
    case .readOnly: self = .readOnly
    default: self = .other
    }
  }
}

/// A unit whose bytes have all come.
private struct ArrivedUnit: Sendable {
  var order: UnitOrder
  var bytes: ByteBuffer
  var link: LinkID
}

/// What became of a piece of work, with the verified units of each link in one event.
private struct StoredUnits {
  private var others: [ReplicationEvent] = []
  private var verified: [LinkID: [UnitID]] = [:]

  var events: [ReplicationEvent] {
    others + verified.sorted { $0.key < $1.key }.map { .unitsVerified($0.key, $0.value) }
  }

  mutating func add(_ event: ReplicationEvent) { others.append(event) }

  mutating func add(_ arrived: ArrivedUnit, isVerified: Bool) {
    let (link, unit) = (arrived.link, arrived.order.unit)
    if isVerified { verified[link, default: []].append(unit) } else { add(.unitCorrupt(link, unit)) }
  }
}

/// Bytes that may wait for the disk at once.
final class ByteBudget: Sendable {
  private struct State {
    var used = 0
    var waiters: [(bytes: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }
  private let limit: Int
  private let state = Mutex(State())

  init(limit: Int) { self.limit = limit }

  /// Returns once there is room; a single piece over the limit goes alone. First come, first served.
  func take(_ bytes: Int) async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        guard state.waiters.isEmpty, state.used == 0 || state.used + bytes <= limit else {
          state.waiters.append((bytes, continuation))
          return false
        }
        state.used += bytes
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  func give(_ bytes: Int) {
    let woken = state.withLock { state in
      state.used -= bytes
      var woken: [CheckedContinuation<Void, Never>] = []
      while let next = state.waiters.first, state.used == 0 || state.used + next.bytes <= limit {
        state.waiters.removeFirst()
        state.used += next.bytes
        woken.append(next.continuation)
      }
      return woken
    }
    for continuation in woken { continuation.resume() }
  }
}
