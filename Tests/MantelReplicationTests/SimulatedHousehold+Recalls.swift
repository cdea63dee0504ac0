import MantelCore
import MantelTestSupport

@testable import MantelReplication

/// Somebody on a machine who needs bytes for a while.
extension SimulatedHousehold {
  func recall(_ order: RecallOrder, at index: Int) {
    let machine = machines[index]
    machine.lastRecall += 1
    let id = RecallID(machine.lastRecall)
    machine.recalls[id] = order.content.content
    work(at: index) { [self] in
      try handle(.recall(id, order), at: index)
      // Whoever is in a hurry gives up again.
      guard random.oneIn(6) else { return }
      work(at: index) { [self] in
        guard machine.recalls.removeValue(forKey: id) != nil else { return }
        try handle(.recallReleased(id), at: index)
      }
    }
  }

  /// Every recall ends once; bytes that are said to be here are, and are let go after a while.
  func recalled(_ id: RecallID, _ outcome: RecallOutcome, at index: Int) throws {
    let machine = machines[index]
    guard let content = machine.recalls.removeValue(forKey: id) else {
      throw SimulationError.broken("m\(index): a recall that was given up, or has ended, ends")
    }
    guard outcome == .here else { return }
    // A file that the user has just changed, or whose disk was just unplugged, is found out only when it is read.
    let isHere =
      machine.has(content) || machine.changed.contains(content)
      || machine.replica.damaged.contains(content) || machine.isExcused(content)
    guard isHere else { throw SimulationError.broken("m\(index): recalled bytes are nowhere") }
    let life = machine.life
    later(within: 3_000) { [self] in try report(.recallReleased(id), at: index, life: life) }
  }
}
