import Logging
import MantelCatalog
import MantelCore
import MantelReplication
import Synchronization

/// Looks through the catalog's file for damage: when the last run did not come to its end (a power cut, a kill), and else once
/// a week of agent time. On a snapshot of its own and a thread of low priority, some time after the start: nobody waits for it.
///
/// A damaged catalog is not mended while the agent runs on it. It is told, again after each start, until `mantel replica adopt`
/// has rebuilt it.
final class CatalogCheck: Sendable {
  /// After the start, which has better to do.
  static let delay: Duration = .seconds(120)
  static let interval: Duration = .agentDay * 7
  /// Between two looks at whether it is time.
  private static let pause: Duration = .seconds(3_600)

  private struct State {
    var wasCutOff = false
    var damage: String?
  }

  private let catalog: Catalog
  private let logger: Logger
  private let state = Mutex(State())
  private let search = DamageSearch()

  init(catalog: Catalog, logger: Logger) {
    self.catalog = catalog
    self.logger = logger
  }

  /// What the last look found first; nil when it found nothing.
  var damage: String? { state.withLock { $0.damage } }

  /// A run begins: until `end` it counts as cut off.
  func begin() throws(StoreError) {
    let wasCutOff = try catalog.value(.running) != nil
    state.withLock { $0.wasCutOff = wasCutOff }
    try catalog.setValue(.running, [1])
  }

  /// The agent ends: a look that is under way ends without a result, and stays due.
  func stop() { search.stop() }

  func end() throws(StoreError) { try catalog.setValue(.running, nil) }

  func isDue(at now: AgentTime) throws(StoreError) -> Bool {
    if state.withLock({ $0.wasCutOff }) { return true }
    guard let bytes = try catalog.value(.catalogChecked), let last = AgentTime(bytes: bytes) else {
      return true
    }
    return now - last >= Self.interval
  }

  /// Reads the whole catalog. Throws, and notes nothing, when it was stopped.
  func look(at now: AgentTime) throws(StoreError) {
    let found = try findings()
    state.withLock {
      $0.damage = found.first
      if found.isEmpty { $0.wasCutOff = false }
    }
    // What is damaged is looked at after the next start too.
    try catalog.setValue(.catalogChecked, found.isEmpty ? now.bytes : nil)
  }

  private func findings() throws(StoreError) -> [String] {
    do {
      return try catalog.damage(search)
    } catch {
      guard error.code == .corrupt else { throw error }
      return [error.message]
    }
  }

  func run(engine: Engine, effects: Effects) async {
    var wait = Self.delay
    while damage == nil {
      do { try await Task.sleep(for: wait) } catch { return }
      wait = Self.pause
      let now = await engine.ask { $0.agentTime }
      do {
        guard try isDue(at: now) else { continue }
        try await effects.walk { try self.look(at: now) }
      } catch {
        guard !Task.isCancelled, !search.isStopped else { return }
        logger.warning("the catalog could not be checked", metadata: ["error": "\(error)"])
      }
      if let damage { logger.critical("the catalog is damaged", metadata: ["damage": "\(damage)"]) }
    }
  }
}
