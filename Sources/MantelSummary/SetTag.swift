package import MantelCore

/// Eight bytes that go into every hash of a set, so that equal ids in sets of different meaning hash differently.
///
/// The first 8 bytes of SHA-256(name | 0x00 | household 32 | library 32, or 32 zero bytes).
package struct SetTag: Hashable, Sendable {
  /// The eight bytes, big-endian.
  package let value: UInt64

  /// Entry ids of one library.
  package static func entries(_ household: HouseholdID, library: MachineID) -> SetTag {
    SetTag(name: "mantel/entries/1", household: household, owner: library.digest)
  }

  /// Content ids of one library: what it wants (W) and what is held of it (H∩W) share a tag, so their roots compare.
  package static func contents(_ household: HouseholdID, library: MachineID) -> SetTag {
    SetTag(name: "mantel/contents/1", household: household, owner: library.digest)
  }

  /// Content ids that a machine holds over all libraries.
  package static func holdings(_ household: HouseholdID) -> SetTag {
    SetTag(name: "mantel/holdings/1", household: household, owner: .zero)
  }

  private init(name: String, household: HouseholdID, owner: Digest256) {
    let bytes = Array(name.utf8) + [0] + household.bytes + owner.bytes
    value = SummaryHash.sha256(bytes).word0
  }
}

/// Names one set of a `SummaryIndex`; worthless in any other, and once the set was removed.
package struct SetHandle: Hashable, Sendable {
  let slot: Int
  let generation: Int
}
