import MantelCore
import MantelHousehold
import MantelReplication
import MantelSummary
import Testing

@Suite struct SimulatedHouseholdTests {
  /// Bytes that a seed and a name give.
  private func photo(_ name: String, _ seed: UInt64) -> [UInt8] { Array("\(name) of \(seed)".utf8) }

  private func fill(_ household: SimulatedHousehold, _ index: Int, _ count: Int, _ seed: UInt64) {
    for number in 0..<count {
      household.machines[index].write(
        "2026/\(number % 3)/img\(number).jpg", photo("\(index)/\(number)", seed),
        mtime: 1_600_000_000_000_000_000 + Int64(number))
    }
  }

  /// The replica of every other machine has every file of every machine, under its name, with its bytes and mtime.
  private func expectReplicated(_ household: SimulatedHousehold, _ comment: Comment) {
    for (index, owner) in household.machines.enumerated() {
      for (other, keeper) in household.machines.enumerated() where other != index {
        for (path, file) in owner.own {
          let place = Array("m\(index)/Photos/".utf8) + path
          let copy = keeper.replica.files[place]
          #expect(
            copy?.bytes == file.bytes, "m\(other) lacks \(String(decoding: place, as: UTF8.self)); \(comment)"
          )
          #expect(copy?.mtime == file.mtime, comment)
        }
      }
    }
  }

  private func report(_ household: SimulatedHousehold, _ index: Int) throws -> StatusReport {
    let files = household.machines[index].own.count
    let machine = household.machines[index]
    let unsafe = machine.own.values.count { !machine.replicator.isSafe($0.content) }
    return try machine.ask {
      try $0.report(
        tally: LedgerCounts(seen: files, safe: files - unsafe, pending: 0, skipped: 0),
        publishedUnsafe: unsafe, now: household.now)
    }
  }

  @Test(arguments: UInt64(1)...5) func twoMachinesReplicateEachOther(seed: UInt64) throws {
    let household = try SimulatedHousehold(machines: 2, seed: seed)
    fill(household, 0, 12, seed)
    fill(household, 1, 7, seed)
    for index in 0...1 { try household.scan(index) }
    #expect(try !report(household, 0).isComplete)
    household.connect(0, 1)
    try household.settle()
    expectReplicated(household, "seed \(seed)")
    for index in 0...1 {
      let report = try report(household, index)
      #expect(report.isSettledEverywhere, "seed \(seed), m\(index): \(report.reasons)")
      #expect(household.machines[index].warnings.isEmpty)
    }
  }

  @Test(arguments: UInt64(1)...5) func editsDeletionsAndMovesFollow(seed: UInt64) throws {
    let household = try SimulatedHousehold(machines: 2, seed: seed)
    fill(household, 0, 9, seed)
    for index in 0...1 { try household.scan(index) }
    household.connect(0, 1)
    try household.settle()
    let sent = household.machines[1].received.count
    let owner = household.machines[0]
    let old = owner.own[Array("2026/0/img0.jpg".utf8)]?.bytes
    owner.rename("2026/1/img1.jpg", "2026/9/renamed.jpg")
    owner.rename("2026/2/img2.jpg", "swap")
    owner.rename("2026/1/img4.jpg", "2026/2/img2.jpg")
    owner.rename("swap", "2026/1/img4.jpg")
    try household.scan(0)
    try household.settle()
    expectReplicated(household, "after moves, seed \(seed)")
    #expect(household.machines[1].received.count == sent, "a move sends no content; seed \(seed)")

    owner.write("2026/0/img0.jpg", photo("edited", seed), mtime: 1_700_000_000_000_000_000)
    owner.remove("2026/0/img3.jpg")
    try household.scan(0)
    try household.settle()
    expectReplicated(household, "after an edit and a deletion, seed \(seed)")
    let kept = household.machines[1].replica.files.filter {
      String(decoding: $0.key, as: UTF8.self).hasPrefix("m0/.retired/Photos/")
    }
    #expect(kept.count == 2, "the replaced and the deleted photo stay; seed \(seed)")
    #expect(kept.values.contains { $0.bytes == old })
    #expect(try report(household, 0).isSettledEverywhere)
  }

  @Test(arguments: UInt64(1)...5) func aPhotoThatBothHaveIsNotSent(seed: UInt64) throws {
    let household = try SimulatedHousehold(machines: 2, seed: seed)
    for index in 0...1 {
      household.machines[index].write("same.jpg", photo("same", seed), mtime: 5)
      try household.scan(index)
    }
    household.connect(0, 1)
    try household.settle()
    expectReplicated(household, "seed \(seed)")
    #expect(household.machines.allSatisfy { $0.received.isEmpty })
  }

  /// By the machine alone, which has never started anew: nobody else has the photo.
  @Test(arguments: UInt64(1)...5) func aCopyThatSomebodyMovedIsFoundAgain(seed: UInt64) throws {
    let household = try SimulatedHousehold(machines: 2, seed: seed)
    fill(household, 0, 6, seed)
    for index in 0...1 { try household.scan(index) }
    household.connect(0, 1)
    try household.settle()
    household.machines[0].remove("2026/0/img0.jpg")
    try household.scan(0)
    try household.settle()
    let kept = household.machines[1].replica.files.keys.first {
      String(decoding: $0, as: UTF8.self).hasPrefix("m0/.retired/")
    }
    let path = try #require(kept)
    household.machines[1].replica.misplace(path, to: path + Array(" moved".utf8))
    household.checkReplica(1)
    try household.settle()
    #expect(household.machines[1].replica.files[path]?.bytes == photo("0/0", seed))
    #expect(try report(household, 1).isComplete, "seed \(seed)")
  }

  /// Two machines that never meet know of each other's completeness through the third.
  @Test func completenessTravelsThroughOthers() throws {
    let household = try SimulatedHousehold(machines: 3, seed: 3)
    for index in 0...2 {
      fill(household, index, 4, 3)
      try household.scan(index)
    }
    household.connect(0, 1)
    household.connect(1, 2)
    try household.settle(patience: .seconds(120))
    expectReplicated(household, "a chain")
    for index in 0...2 {
      let report = try report(household, index)
      #expect(report.isComplete, "m\(index): \(report.reasons)")
      #expect(!report.peers.contains { !$0.isComplete }, "m\(index) knows the others complete")
    }
  }

  /// As on a disk: what a failed sync takes away are the bytes of its batch, not those that came since it failed before.
  @Test func aFailedSyncLeavesTheBlocksThatAreComing() {
    var replica = SimulatedReplica()
    let film = Payload([1], size: UInt64(Limits.wholeUnitBytes) + 1)
    let land = FilingOperation.land(film.content, path: Array("m0/Photos/film".utf8), mtime: 5)
    func fail() { _ = replica.commit([land], own: [:], isRepeat: true, fault: (.sync, place: 0), limit: 1) }
    replica.stageBlock(0, of: film)
    fail()
    #expect(replica.staged[film.content]?.blocks == [0])
    replica.staged[film.content]?.blocks = nil
    fail()
    #expect(replica.staged.isEmpty)
  }
}
