import MantelCore
import Testing

@testable import MantelReplication

/// A replica whose filesystem takes no writes any more: nothing comes in vain, `status` says why, and it ends by itself.
@Suite struct ReadOnlyReplicaTests {
  private let photo = content("photo")
  private var unit: UnitID { UnitID(content: photo, part: .whole) }

  /// A machine that was asked for the photo of its peer.
  private func machine() throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine()
    try machine.send(.recovered)
    let link = try machine.connect(has: [photo])
    try machine.install(0, 1, [machine.entry("a.jpg", photo)], over: link)
    #expect(machine.take().orders(link).map(\.unit) == [unit])
    return (machine, link)
  }

  private func failure(_ code: FilingFailure.Code, errno: Int32 = 30) -> FilingResult {
    .failed(FilingFailure(code: code, errno: errno, message: "a test"))
  }

  private func isToldToWait(_ machine: SingleMachine) throws -> Bool {
    let report = try machine.report()
    return report.reasons.contains(.replicaReadOnly) && report.state == .waiting && !report.isComplete
  }

  @Test func whatCannotBeStagedIsNotFetchedAgainAndAgain() throws {
    let (machine, link) = try machine()
    try machine.send(.stagingFailed(unit, .readOnly))
    try machine.send(.stagingFailed(unit, .readOnly))
    #expect(try isToldToWait(machine))
    try machine.pass(.seconds(3_600))
    let actions = machine.take()
    #expect(actions.orders(link).isEmpty)
    #expect(actions.warnings.filter { $0 == .replicaReadOnly }.count == 1)
    try machine.send(.replicaWritable)
    #expect(machine.take().orders(link).map(\.unit) == [unit])
    #expect(try !machine.report().reasons.contains(.replicaReadOnly))
  }

  @Test func whatCannotBeFiledWaitsToo() throws {
    let (machine, link) = try machine()
    try machine.send(.unitVerified(link, unit))
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [failure(.readOnly)]))
    #expect(try isToldToWait(machine))
    try machine.pass(.seconds(3_600))
    let actions = machine.take()
    #expect(actions.batches.isEmpty && actions.orders(link).isEmpty)
    try machine.send(.replicaWritable)
    let again = try #require(machine.take().batches.first)
    #expect(again.operations == batch.operations)
    try machine.send(.filed(again.id, again.operations.map { .done(path: $0.path, machine.stamp(10)) }))
    #expect(machine.isHeld(photo))
    #expect(try !machine.report().reasons.contains(.replicaReadOnly))
  }

  /// Another filesystem may be mounted below the replica, or it is made read-only again at once: writing is not hammered.
  @Test func whatCouldNotBeFiledRestsAllTheSame() throws {
    let (machine, link) = try machine()
    try machine.send(.unitVerified(link, unit))
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [failure(.readOnly)]))
    try machine.send(.replicaWritable)
    #expect(machine.take().batches.isEmpty)
    try machine.pass(machine.settings.retry)
    #expect(machine.take().batches.map(\.operations) == [batch.operations])
  }

  /// What was staged and not synced is lost, and fetched again only when it can be kept.
  @Test func aSyncThatTellsItCountsAsWell() throws {
    let (machine, link) = try machine()
    try machine.send(.unitVerified(link, unit))
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [failure(.sync)]))
    #expect(try isToldToWait(machine))
    try machine.pass(.seconds(3_600))
    #expect(machine.take().orders(link).isEmpty)
    try machine.send(.replicaWritable)
    #expect(machine.take().orders(link).map(\.unit) == [unit])
  }

  /// It may be another mount of it; a write that fails tells if it is not.
  @Test func aReplicaThatIsMountedAnewIsTriedAgain() throws {
    let (machine, link) = try machine()
    try machine.send(.stagingFailed(unit, .readOnly))
    try machine.send(.replicaAway)
    try machine.send(.replicaMounted)
    #expect(machine.take().orders(link).map(\.unit) == [unit])
    #expect(try !machine.report().reasons.contains(.replicaReadOnly))
  }

  @Test func otherFailuresSayNothingOfIt() throws {
    let (machine, link) = try machine()
    try machine.send(.unitVerified(link, unit))
    let batch = try #require(machine.take().batches.first)
    try machine.send(.filed(batch.id, [failure(.sync, errno: 5)]))
    #expect(try !machine.report().reasons.contains(.replicaReadOnly))
  }
}
