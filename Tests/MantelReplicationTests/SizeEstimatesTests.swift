import MantelCore
import Testing

@testable import MantelReplication

/// What status may tell without asking the catalog again.
@Suite struct SizeEstimatesTests {
  private let owner = MachineID(Digest256(1, 0, 0, 0))
  private let start = Instant(nanoseconds: 1_000_000_000)

  @Test func aSumIsScaledForAWhileAndThenTakenAnew() {
    var sizes = SizeEstimates()
    #expect(sizes.missingBytes(of: owner, files: 100, now: start) == nil)
    sizes.summed(1_000, of: owner, files: 100, now: start)
    #expect(sizes.missingBytes(of: owner, files: 50, now: start + .seconds(9)) == 500)
    #expect(sizes.missingBytes(of: owner, files: 50, now: start + .seconds(10)) == nil)
    #expect(sizes.missingBytes(of: MachineID(.zero), files: 50, now: start) == nil)
  }

  @Test func aMeanCountsForItsHead() {
    var sizes = SizeEstimates()
    let order = HeadOrder(epoch: 1, sequence: 1)
    sizes.sampled(2.5, of: owner, at: order)
    #expect(sizes.mean(of: owner, at: order) == 2.5)
    #expect(sizes.mean(of: owner, at: HeadOrder(epoch: 1, sequence: 2)) == nil)
  }

  /// Of a few files the bytes are exact; of many they are the mean size's.
  @Test(arguments: [1, 3]) func whatAPeerLacksIsExactWhileItIsLittle(exact: Int) throws {
    var settings = ReplicationSettings()
    settings.exactSizes = exact
    let machine = try SingleMachine(peers: 2, settings: settings)
    let (first, second) = (try machine.connect(0), try machine.connect(1))
    _ = second
    let entries = [("a", 10), ("b", 20), ("c", 60)].map { name, size in
      machine.entry(name, content(name), size: UInt64(size))
    }
    try machine.install(0, 1, entries, over: first)
    let peer = try machine.report().peers.first { $0.machine == machine.peers[1].machine }
    #expect(peer?.lacksFiles == 3 && peer?.lacksBytes == 90)
  }
}
