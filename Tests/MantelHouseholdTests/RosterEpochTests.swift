import MantelCore
import Testing

@testable import MantelHousehold

/// There is always an epoch left for whoever may sign a library next, whatever others signed or named.
@Suite struct RosterEpochTests {
  /// Above the epochs that a removal may name its keeper could sign nothing, and it would be waited for by all.
  @Test func aRemovalThatLeavesItsKeeperNoRoomIsNotKept() throws {
    let home = try TestHousehold(machines: 3)
    let last = try #require(home.everything.last)
    let largest = RosterStatement.largestEpoch
    func removal(_ epoch: UInt64, _ sequence: UInt64) throws -> SignedStatement {
      try home.forge(
        by: 1, parents: [last],
        .remove(home.id(2), head: HeadOrder(epoch: epoch, sequence: sequence), root: .zero))
    }
    var roster = home.rosters[0]
    for bad in [try removal(.max, 1), try removal(largest + 1, 1), try removal(largest, .max)] {
      #expect(roster.merge([bad]).isEmpty)
      #expect(!Roster(stored: roster.statements + [bad]).contains(bad.id))
    }
    #expect(roster.isMember(home.id(2)))
    let good = try removal(largest, Head.largestNumber)
    #expect(roster.merge([good]) == [good])
    #expect(!roster.isMember(home.id(2)))
  }

  /// The keeper of the library of machine 3 signs as far as it can, and is removed.
  @Test func whoSignsNextHasRoomAboveWhateverWasSigned() throws {
    var home = try TestHousehold(machines: 4)
    try home.remove(3, by: 1)
    home.synchronise()
    func head(_ epoch: UInt64, signer: Int) throws -> Signed<Head> {
      let head = Head(
        library: home.id(3), signer: home.id(signer), order: HeadOrder(epoch: epoch, sequence: 1),
        root: .zero, counts: LibraryCounts(), time: home.now)
      return try home.keys[signer].sign(head, in: home.rosters[2].household)
    }
    let last = home.rosters[2].lastEpoch
    let (former, beyond) = (try head(last, signer: 1), try head(last + 1, signer: 1))
    #expect(home.rosters[2].accepts(former) && !home.rosters[2].accepts(beyond))

    try home.remove(1, by: 0)
    home.synchronise()
    let roster = home.rosters[2]
    #expect(roster.removedMember(home.id(3))?.keeper == home.id(0))
    #expect(roster.isOutdated(former) && !roster.isOutdated(beyond))
    #expect(roster.accepts(try head(last + 1, signer: 0)))
    // With as many statements as are ever kept, heads can still be read.
    let room = UInt64(Limits.statements) * RosterStatement.epochsPerStatement
    #expect(RosterStatement.largestEpoch + room < Head.largestNumber)
  }

  /// Such a head is a fraud, or a clock's: what was signed below the last place that can be named counts.
  @Test func aRemovalNamesNoHeadThatItMayNot() throws {
    let home = try TestHousehold(machines: 2)
    let largest = RosterStatement.largestEpoch
    let removal = try home.rosters[0].removing(
      home.id(1), lastHead: HeadOrder(epoch: largest + 1, sequence: 3), lastRoot: Digest256(1, 2, 3, 4),
      by: home.keys[0], now: home.now)
    var roster = home.rosters[0]
    #expect(roster.merge([removal]) == [removal])
    let removed = try #require(roster.removedMember(home.id(1)))
    #expect(removed.lastHead == HeadOrder(epoch: largest, sequence: Head.largestNumber))
    #expect(removed.rootAt == .zero)
  }
}
