import MantelCore
import MantelHousehold
import Testing

@testable import MantelReplication

/// When a machine signs its own record anew because others show one that it has not signed.
@Suite struct OwnRecordTests {
  private let key = DeviceKey()
  private let settings = ReplicationSettings()

  private func at(_ seconds: Int64) -> Now {
    Now(instant: Instant(nanoseconds: seconds * 1_000_000_000), wall: WallTime(nanoseconds: 1))
  }

  private func record(_ number: UInt64, _ name: String = "me") throws -> Signed<MachineRecord> {
    try key.sign(
      MachineRecord(
        machine: key.machine, number: number, name: name, role: .full, program: "test", addresses: [],
        folders: []),
      in: HouseholdID(Digest256.zero))
  }

  /// Two living copies on different hosts would pass each other as fast as the network goes.
  @Test func twoCopiesThatPassEachOtherGetSlower() throws {
    var (one, other) = (OwnRecord(loaded: 1), OwnRecord(loaded: 1))
    var mine = [try record(1, "one"), try record(1, "other")]
    var (signatures, seconds) = (0, Int64(0))
    _ = one.show(try record(2, "other"), mine: mine[0].record, now: at(0), settings)
    while seconds < 3_600 {
      if one.answers(now: at(seconds)) {
        mine[0] = try record(one.shown + 1, "one")
        one.note(mine[0])
        signatures += 1
        _ = other.show(mine[0], mine: mine[1].record, now: at(seconds), settings)
      }
      if other.answers(now: at(seconds)) {
        mine[1] = try record(other.shown + 1, "other")
        other.note(mine[1])
        signatures += 1
        _ = one.show(mine[1], mine: mine[0].record, now: at(seconds), settings)
      }
      seconds += 1
    }
    #expect((4...40).contains(signatures), "\(signatures) within an hour")
  }

  @Test func ownRecordsThatComeBackAreNoNews() throws {
    var own = OwnRecord(loaded: 3)
    let mine = try record(4)
    own.note(mine)
    _ = own.show(mine, mine: try record(5).record, now: at(0), settings)
    #expect(own.due == nil && own.shown == 0)
    _ = own.show(try record(3, "former"), mine: mine.record, now: at(0), settings)
    #expect(own.due == nil, "what everybody has passed needs no answer")
    _ = own.show(try record(4, "forgotten"), mine: mine.record, now: at(0), settings)
    #expect(own.due == at(0).instant && own.shown == 4)
  }
}
