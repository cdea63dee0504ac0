import MantelCore

/// Batches that were cut off: what they may have done is found out before anything else is planned for their contents.
///
/// A batch is journaled before it begins, and the journal ends in the transaction that records the batch. What is left
/// in it is done again as it was planned: every operation finds its file by its bytes, where it came from or where it
/// was to go, so that afterwards the catalog says what lies in the replica. Only then are the entries looked at again:
/// they may have changed since, and a plan from rows that are not true would lose files, or take one for another.
/// Nothing is deleted again: what became of a deletion is found out, and one that was not done is planned anew, by what
/// everybody wants then.
extension Replicator {
  mutating func loadFilingJournal() throws(StoreError) {
    guard let bytes = try store.value(.filingJournal) else { return }
    do throws(RecordError) {
      filing.unresolved = try FilingJournal.steps(from: bytes)
    } catch {
      throw StoreError(code: .corrupt, message: "the filing journal cannot be read: \(error)")
    }
    filing.isRepeatDue = !filing.unresolved.isEmpty
    try unholdDeleted(filing.unresolved)
  }

  mutating func repeatUnresolved(now: Now) throws(StoreError) {
    let steps = filing.unresolved
    let contents = Set(steps.map(\.operation.content))
    filing.isRepeatDue = false
    filing.repeatAt = nil
    filing.unresolved = []
    lastBatch += 1
    let batch = FilingBatch(
      id: BatchID(lastBatch), steps: steps, contents: contents.sorted(), staying: [], isRepeat: true,
      // What they should be by now is planned when it is known what they are.
      outdated: contents)
    filing.ready.subtract(contents)
    filing.running = batch
    actions.append(.fileAgain(batch.id, steps.map(\.operation)))
  }

  /// Files that cannot be moved, or found, hold up only their own contents: others are filed, and these are asked for
  /// again, later each time.
  mutating func keepUnresolved(of batch: FilingBatch, _ results: [FilingResult], now: Now) {
    filing.unresolved += unresolvedSteps(of: batch, results)
    if filing.unresolved.count < settings.unresolvedSteps {
      filing.ready.formUnion(filing.blocked)
      filing.blocked.removeAll()
    }
    guard !filing.unresolved.isEmpty else {
      filing.repeatAt = nil
      return filing.repeatBackoff = nil
    }
    guard batch.isRepeat || filing.repeatAt == nil else { return }
    var backoff = filing.repeatBackoff ?? Backoff(first: settings.retry, longest: settings.longestRetry)
    filing.repeatAt = now.instant + backoff.next()
    filing.repeatBackoff = backoff
  }

  /// The steps of a batch whose end is not known, though it was reported: something failed after the name may have
  /// changed; for a step that is repeated that is any failure, for it may have been done the first time. Only of steps that
  /// use up what they are made from; what else was made at a new name is made again, or adopted.
  private func unresolvedSteps(of batch: FilingBatch, _ results: [FilingResult]) -> [FilingPlan.Step] {
    zip(batch.steps, results).compactMap { step, result in
      guard case .failed(let failure) = result,
        batch.isRepeat || [.sync, .io, .readOnly, .other].contains(failure.code)
      else { return nil }
      switch step.operation {
      case .move, .remove: return step
      // Its staged bytes may lie under the name by now, and nowhere else.
      case .land: return batch.isRepeat || failure.code == .sync ? step : nil
      case .link, .copy, .copyOwn: return nil
      }
    }
  }
}
