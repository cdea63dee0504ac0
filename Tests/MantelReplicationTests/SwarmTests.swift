import MantelCore
import MantelTestSupport
import Testing

@testable import MantelReplication

/// One machine has what all others lack: how long until all have it, and how often the source sends it, compared with the
/// time and the bytes of sending it once. Links have rates; decisions, catalogs and batches are the shipped ones.
@Suite(.serialized) struct SwarmTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var receivers: Int
    var sources = 1
    var units = 200
    var unitBytes: UInt64 = 2 << 20
    /// Megabits a second of receivers that are slower than the 100 of all others.
    var slow: [Double] = []
    /// Of the time, and bytes, of sending all once over one source's uplink.
    var mostTime: Double
    var mostSent: Double

    var testDescription: String {
      "\(sources) to \(receivers), \(units) units of \(unitBytes >> 10) KiB, slow \(slow)"
    }
  }

  /// With `MANTEL_LAB_LONG=1` those that take minutes, too.
  static var cases: [Case] {
    let short = [
      Case(receivers: 4, mostTime: 1.10, mostSent: 1.15),
      Case(receivers: 3, units: 120, slow: [10], mostTime: 1.15, mostSent: 1.15),
      Case(receivers: 3, sources: 2, units: 120, mostTime: 1.10, mostSent: 0.8),
      // Its own link is full: what comes twice takes time.
      Case(receivers: 1, sources: 3, units: 60, mostTime: 1.05, mostSent: 0.6),
      // A video, which is passed on while it comes.
      Case(receivers: 4, units: 1, unitBytes: 200 << 20, mostTime: 1.15, mostSent: 1.15),
      Case(receivers: 3, units: 2, unitBytes: 80 << 20, slow: [10], mostTime: 1.15, mostSent: 1.15),
    ]
    let long = [
      Case(receivers: 9, mostTime: 1.15, mostSent: 1.15),
      Case(receivers: 4, slow: [10], mostTime: 1.15, mostSent: 1.15),
      Case(receivers: 4, sources: 2, mostTime: 1.10, mostSent: 0.7),
    ]
    return LabScale.isLong ? short + long : short
  }

  @Test(arguments: cases) func allGetItInAboutTheTimeOfSendingItOnce(_ example: Case) throws {
    let outcome = try Self.run(example)
    print("swarm: \(example.testDescription): time \(outcome.time), sent \(outcome.sent)")
    #expect(outcome.time <= example.mostTime)
    #expect(outcome.sent <= example.mostSent)
  }

  /// The time until all receivers that are not slow hold all, and the most that a source sent, in units of sending all once.
  static func run(_ example: Case, takesPulls: Bool = true) throws -> (time: Double, sent: Double) {
    let machines = example.sources + example.receivers
    let household = try SimulatedHousehold(machines: machines, seed: 1)
    defer { household.end() }
    household.takesPulls = takesPulls
    let fast = SimulatedNetwork.Rate.megabits(100)
    for number in 0..<example.units {
      household.machines[0].write(
        "2026/img\(number).jpg", Array("photo \(number)".utf8), size: example.unitBytes,
        mtime: 1_600_000_000_000_000_000 + Int64(number))
    }
    for source in 1..<max(1, example.sources) { household.connect(0, source) }
    try household.scan(0)
    try household.settle()
    let rates = (0..<machines).map { index in
      let place = machines - 1 - index
      return place < example.slow.count ? .megabits(example.slow[place]) : fast
    }
    let network = SimulatedNetwork(household, rates: rates)
    household.network = network
    for index in 0..<machines {
      for other in (index + 1)..<max(index + 1, machines) where other >= example.sources {
        household.connect(index, other)
      }
    }
    let start = household.now.instant
    let receivers = example.sources..<(machines - example.slow.count)
    var waiting = Set(receivers)
    household.onStep = { index in
      if household.machines[index].holds(example.units) { waiting.remove(index) }
    }
    while !waiting.isEmpty {
      guard household.now.instant - start < .seconds(3_600), try household.step() else {
        throw SimulationError.broken("the swarm came to a standstill")
      }
    }
    let all = Double(example.units) * Double(example.unitBytes)
    let seconds = Double((household.now.instant - start).inNanoseconds) / 1_000_000_000
    return (seconds / (all / fast.up), Double(network.sent.prefix(example.sources).max() ?? 0) / all)
  }
}

extension SimulatedMachine {
  fileprivate func holds(_ count: Int) -> Bool {
    replicator.contents.index.count(of: replicator.contents.held) == count
  }
}
