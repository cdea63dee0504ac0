import Foundation
import MantelCore
import MantelSummary
import MantelTestSupport

/// The summary over a set of one size.
struct SummaryBenchmark {
  let size: Int
  let rounds: Int

  private static let tag = SetTag.contents(
    HouseholdID(Digest256(1, 1, 1, 1)), library: MachineID(Digest256(2, 2, 2, 2)))
  private static let salt = [UInt8](0..<16)
  /// Single inserts that are timed together.
  private static let inserts = 1_000

  /// From sorted ids to the root, as at start; and single inserts, each with its new root.
  func measureSet() -> SummaryReport.Set {
    var random = SeededGenerator(seed: UInt64(size))
    let ids = random.ids(size)
    let build = median {
      let snapshot = SetSnapshot(sorted: ids, tag: Self.tag)
      precondition(snapshot.count == ids.count)
    }
    var index = SummaryIndex()
    let set = index.addSet(Self.tag)
    index.insert(sorted: ids, into: set)
    _ = index.root(of: set)
    let inserts = median {
      for _ in 0..<Self.inserts {
        index.insert(random.id(), into: set)
        _ = index.root(of: set)
      }
    }
    return SummaryReport.Set(
      ids: size, buildMilliseconds: build, insertMicroseconds: inserts * 1_000 / Double(Self.inserts))
  }

  /// Half of the difference on each side.
  func measureReconciliation(difference: Int) throws -> SummaryReport.Reconciliation {
    let half = difference / 2
    return try measure(
      Pair(seed: size + difference, common: size - half, opener: difference - half, responder: half),
      difference: difference, budget: Self.budget(size: size, difference: difference), legs: 10)
  }

  /// One side has nothing.
  func measureFreshPeer() throws -> SummaryReport.Reconciliation {
    try measure(
      Pair(seed: size, common: 0, opener: 0, responder: size), difference: size,
      budget: 1.10 * Self.bound(size), legs: 1)
  }

  private func measure(
    _ pair: Pair, difference: Int, budget: Double?, legs: Int
  ) throws -> SummaryReport.Reconciliation {
    let opener = SetSnapshot(sorted: pair.opener, tag: Self.tag)
    let responder = SetSnapshot(sorted: pair.responder, tag: Self.tag)
    var times: [Double] = []
    var last = ReconcilerMeeting(opener, responder, salt: Self.salt)
    for _ in 0..<rounds {
      var meeting = ReconcilerMeeting(opener, responder, salt: Self.salt)
      times.append(try milliseconds { try meeting.run() })
      last = meeting
    }
    guard last.openerLearnt.mineOnly.count + last.openerLearnt.theirsOnly.count == difference else {
      throw BenchmarkError(description: "not all of the difference was found: \(last.openerLearnt)")
    }
    return SummaryReport.Reconciliation(
      ids: size, difference: difference, bytes: last.bytes, lowerBound: Self.bound(difference),
      byteBudget: budget, legs: last.legs, legBudget: legs, milliseconds: times.sorted()[times.count / 2])
  }

  /// (256 d - log2 d!) / 8: the least that names `d` ids out of 2^256.
  private static func bound(_ difference: Int) -> Double {
    (256 * Double(difference) - lgamma(Double(difference) + 1) / log(2)) / 8
  }

  /// The hard budget in bytes for uniform ids; nil where there is none.
  private static func budget(size: Int, difference: Int) -> Double? {
    switch (difference, size) {
    case (0, _): 0
    case (1, _): 1_200
    case (100, ..<50_000): 8 * bound(100)
    case (100, ..<500_000): 14 * bound(100)
    case (100, _): 17 * bound(100)
    case (10_000, ..<50_000): 1.6 * bound(10_000)
    case (10_000, ..<500_000): 4 * bound(10_000)
    case (10_000, _): 8 * bound(10_000)
    default: difference >= size / 10 ? 4 * bound(difference) : nil
    }
  }

  // MARK: Time

  private func median(_ body: () -> Void) -> Double {
    (0..<rounds).map { _ in milliseconds(body) }.sorted()[rounds / 2]
  }

  private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    return (ContinuousClock.now - start) / .milliseconds(1)
  }
}

/// Two sets that share `common` ids.
private struct Pair {
  var opener: [Digest256] = []
  var responder: [Digest256] = []

  init(seed: Int, common: Int, opener: Int, responder: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    var sides = Array(repeating: 1, count: opener) + Array(repeating: 2, count: responder)
    sides += Array(repeating: 3, count: common)
    sides.shuffle(using: &random)
    for (id, side) in zip(random.ids(sides.count), sides) {
      if side & 1 != 0 { self.opener.append(id) }
      if side & 2 != 0 { self.responder.append(id) }
    }
  }
}
