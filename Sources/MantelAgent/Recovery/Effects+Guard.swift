import MantelCatalog
import MantelCore
import MantelDisk
import MantelReplication

/// The guard file: the last head that this machine published, kept beside the copies, so that a catalog from an old backup
/// is known for what it is.
extension Effects {
  /// What the guard file says; nil when there is none, or it cannot be read now. Blocks.
  func guardedHead() -> Signed<Head>? {
    do {
      return try replica.kept(.guard).map { try Signed<Head>(bytes: $0) }
    } catch {
      logger.warning("the replica's guard file cannot be read", metadata: ["error": "\(error)"])
      return nil
    }
  }

  /// Writes the newest head that it was given, one write at a time. A guard that names a newer one stays, and is
  /// reported. What fails is written with the next head, or when the replica is back.
  func keepGuard(_ head: Signed<Head>?, engine: Engine) {
    let isWriting = guarding.withLock { state in
      defer { state.isWriting = true }
      state.next = .some(head)
      return state.isWriting
    }
    guard !isWriting else { return }
    start { [self] in
      while let next = guarding.withLock({ $0.take() }) {
        guard let newer = await write(guard: next) else { continue }
        await engine.handle(.guardFound(newer))
      }
    }
  }

  /// The head that the guard names if it is another, and not older; else the guard names this one, if the disk let it.
  private func write(guard head: Signed<Head>?) async -> Signed<Head>? {
    do {
      return try await disk.run { [self] in
        let there = try replica.kept(.guard).flatMap { try? Signed<Head>(bytes: $0) }
        guard there != head else { return nil }
        let order = head?.record.order ?? .none
        if let there, there.record.library == machine, there.record.order >= order { return there }
        if let head { try replica.keep(.guard, head.bytes) }
        return nil
      }
    } catch {
      logger.debug("the guard file was not written", metadata: ["error": "\(error)"])
      return nil
    }
  }
}

extension Effects {
  /// Keeps what a lost catalog would begin with, and what its user refused to let go, when it is not what is kept already.
  /// Nothing of this fails loudly: it is tried again soon. Not while the catalog is behind what is kept: that is what it may be
  /// rebuilt from.
  func keepHousehold(from catalog: Catalog, engine: Engine) async {
    await takeBackRefusals(engine: engine)
    guard await engine.ask({ !$0.isRecovering }) else { return }
    do {
      try await walk { [self] in
        let refused = try catalog.refusedDropCount()
        // Refusals are never taken back: another number is another list, and a longer one. What was not read is not replaced.
        if let there = refusals.withLock({ $0.kept }), refused != there {
          try replica.keep(.refused, RefusedDrops(try catalog.refusedDrops()).bytes)
          refusals.withLock { $0.kept = refused }
        }
        let bytes = try HouseholdCopy(catalog).bytes
        guard bytes.count <= KeptFile.household.limit, try replica.kept(.household) != bytes else { return }
        try replica.keep(.household, bytes)
      }
    } catch {
      logger.debug("the household was not kept beside the copies", metadata: ["error": "\(error)"])
    }
  }
}

extension Effects {
  /// Before the list of what was refused is written, and also while the catalog is behind: a catalog from an old backup lacks
  /// refusals of later. Once, but for decisions that were loaded anew: they let nothing out of the trash before they know. A list
  /// that cannot be read stays as it is, and is read again soon.
  func takeBackRefusals(engine: Engine) async {
    guard await engine.ask({ !$0.areRefusalsKnown }) else { return }
    do {
      let (kept, unknown) = try await walk { [replica, catalog = engine.catalog] in
        let kept = try replica.kept(.refused).map { try RefusedDrops(bytes: $0).contents } ?? []
        return (kept.count, try kept.filter { try !catalog.isRefusedDrop($0) })
      }
      try await engine.perform(.refusalsFound(unknown))
      refusals.withLock { $0.kept = $0.kept ?? kept }
    } catch let error as DiskError where error.code == .notMounted {
      // That is told of the replica itself: the warning below is for a list that is there.
      logger.debug("what was refused to be let go is not there now", metadata: ["error": "\(error)"])
    } catch let error as StoreError {
      // The engine has told it.
      logger.debug("what was refused to be let go could not be recorded", metadata: ["error": "\(error)"])
    } catch {
      let isNews = refusals.withLock { state in
        defer { state.isTold = true }
        return !state.isTold
      }
      guard isNews else { return }
      logger.warning(
        "the list of refused drops cannot be read: until it can, nothing leaves the trash, nor is it written",
        metadata: ["error": "\(error)"])
    }
  }
}

/// What this run knows of the list of refused drops that is kept beside the copies.
struct RefusalKeeping: Sendable {
  /// How many it has; nil before the catalog knows all of them.
  var kept: Int?
  /// That it cannot be read was told.
  var isTold = false
}

/// Which head the guard file is to name, while it is written.
struct GuardWriting: Sendable {
  var next: Signed<Head>??
  var isWriting = false

  /// What is to be written now; the writer that gets nil ends.
  mutating func take() -> Signed<Head>?? {
    defer { next = nil }
    if next == nil { isWriting = false }
    return next
  }
}
