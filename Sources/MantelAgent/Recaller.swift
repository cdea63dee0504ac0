import MantelReplication
import Synchronization

/// Asks the decisions for contents that a job needs, and waits for them.
///
/// What was recalled stays in the staging area until it is released, whatever its outcome: every recall has its release.
final class Recaller: Sendable {
  private struct Recall {
    let order: RecallOrder
    var outcome: RecallOutcome?
    var waiter: CheckedContinuation<RecallOutcome?, Never>?
  }
  private struct State {
    var last: UInt64 = 0
    var recalls: [RecallID: Recall] = [:]
  }
  private let state = Mutex(State())

  /// Names a recall and keeps it in mind; `outcome(of:engine:)` then begins it.
  func open(_ order: RecallOrder) -> RecallID {
    state.withLock { state in
      state.last += 1
      let id = RecallID(state.last)
      state.recalls[id] = Recall(order: order)
      return id
    }
  }

  /// Begins a recall and returns what became of it; throws when the task is cancelled meanwhile.
  func outcome(of id: RecallID, engine: Engine) async throws -> RecallOutcome {
    guard let order = state.withLock({ $0.recalls[id]?.order }) else { throw CancellationError() }
    await engine.handle(.recall(id, order))
    let outcome = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let known: RecallOutcome?? = state.withLock { state in
          // Nothing will come, or it has come: not to be waited for.
          guard !Task.isCancelled, let recall = state.recalls[id] else { return .some(nil) }
          if let outcome = recall.outcome { return .some(outcome) }
          state.recalls[id]?.waiter = continuation
          return nil
        }
        if let known { continuation.resume(returning: known) }
      }
    } onCancel: {
      takeWaiter(of: id)?.resume(returning: nil)
    }
    guard let outcome else { throw CancellationError() }
    return outcome
  }

  func release(_ id: RecallID, engine: Engine) async {
    _ = state.withLock { $0.recalls.removeValue(forKey: id) }
    await engine.handle(.recallReleased(id))
  }

  /// What the decisions say of a recall.
  func ended(_ id: RecallID, _ outcome: RecallOutcome) {
    let waiter = state.withLock { state -> CheckedContinuation<RecallOutcome?, Never>? in
      // After a new start of the decisions the first answer stands.
      guard state.recalls[id]?.outcome == nil else { return nil }
      state.recalls[id]?.outcome = outcome
      return state.recalls[id]?.waiter.take()
    }
    waiter?.resume(returning: outcome)
  }

  /// The decisions start over from the catalog and have forgotten what was recalled.
  func recallAgain(engine: Engine) async {
    let recalls = state.withLock { $0.recalls.map { (id: $0.key, order: $0.value.order) } }
    for recall in recalls.sorted(by: { $0.id.number < $1.id.number }) {
      await engine.handle(.recall(recall.id, recall.order))
    }
  }

  private func takeWaiter(of id: RecallID) -> CheckedContinuation<RecallOutcome?, Never>? {
    state.withLock { $0.recalls[id]?.waiter.take() }
  }
}
