/// What a machine holds of one library, against one head of it.
package struct LibraryAttestation: Hashable, Sendable {
  package var library: MachineID
  /// The installed head that the statement is about.
  package var order: HeadOrder
  /// Merkle root over the content ids of H∩W: equal to the root over W when nothing is missing.
  package var heldRoot: Digest256
  package var missingCount: UInt64
  package var missingBytes: UInt64
  /// The missing contents, ascending, when there are at most `Limits.attestedMissing`; else so many of them at most.
  package var missing: [ContentID]

  package init(
    library: MachineID, order: HeadOrder, heldRoot: Digest256, missingCount: UInt64,
    missingBytes: UInt64, missing: [ContentID]
  ) {
    self.library = library
    self.order = order
    self.heldRoot = heldRoot
    self.missingCount = missingCount
    self.missingBytes = missingBytes
    self.missing = missing
  }

  /// Whether the statement tells for each content of the library if it is held.
  package var listsMissing: Bool { missingCount == UInt64(missing.count) }
}

/// A machine's signed statement of what it holds; the higher number wins, and it counts for 14 days.
///
/// Numbers are microseconds since 1970 by the holder's clock, or one more than the last where that is higher.
///
/// Canonical bytes: version u8 = 1 | holder 32 | number u64 | time i64 ns | filesystem 16 | oldest re-read i64 ns |
/// library count u8, each: library 32 | epoch u64 | sequence u64 | held root 32 | missing count u64 |
/// missing bytes u64 | listed u16 | content 32 each. Signed for `mantel/attestation/1`.
package struct Attestation: Hashable, Sendable {
  package var holder: MachineID
  package var number: UInt64
  package var time: WallTime
  /// 16 bytes that two machines share only when their replicas lie on one filesystem of one host.
  package var filesystem: FolderID
  /// When the replica file that was not re-read for longest was last re-read.
  package var oldestReread: WallTime
  package var libraries: [LibraryAttestation]

  package init(
    holder: MachineID, number: UInt64, time: WallTime, filesystem: FolderID,
    oldestReread: WallTime, libraries: [LibraryAttestation]
  ) {
    self.holder = holder
    self.number = number
    self.time = time
    self.filesystem = filesystem
    self.oldestReread = oldestReread
    self.libraries = libraries
  }
}

extension Attestation: SignableRecord {
  package static let version: UInt8 = 1
  package static let maximumBytes = 2 << 20
  package static let purpose = "mantel/attestation/1"
  package var signer: MachineID { holder }

  package func encode(to writer: inout CanonicalWriter) {
    writer.write(Self.version)
    writer.write(holder)
    writer.write(number)
    writer.write(time.nanoseconds)
    writer.write(filesystem)
    writer.write(oldestReread.nanoseconds)
    writer.write(UInt8(libraries.count))
    for library in libraries {
      writer.write(library.library)
      writer.write(library.order.epoch)
      writer.write(library.order.sequence)
      writer.write(library.heldRoot)
      writer.write(library.missingCount)
      writer.write(library.missingBytes)
      writer.write(UInt16(library.missing.count))
      for content in library.missing { writer.write(content) }
    }
  }

  package init(from reader: inout CanonicalReader) throws(RecordError) {
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    holder = try reader.readIdentifier()
    number = try reader.readInteger()
    time = WallTime(nanoseconds: try reader.readInteger())
    filesystem = try reader.readFolderID()
    oldestReread = WallTime(nanoseconds: try reader.readInteger())
    let count = Int(try reader.readInteger(UInt8.self))
    guard count <= Limits.machines else { throw .overLimit(field: "libraries") }
    libraries = []
    for _ in 0..<count {
      var library = LibraryAttestation(
        library: try reader.readIdentifier(),
        order: HeadOrder(epoch: try reader.readInteger(), sequence: try reader.readInteger()),
        heldRoot: try reader.readDigest(), missingCount: try reader.readInteger(),
        missingBytes: try reader.readInteger(), missing: [])
      let listed = Int(try reader.readInteger(UInt16.self))
      guard listed <= Limits.attestedMissing else { throw .overLimit(field: "missing") }
      guard UInt64(listed) <= library.missingCount else { throw .invalid(field: "missing") }
      for _ in 0..<listed { library.missing.append(try reader.readIdentifier()) }
      guard library.missing.isStrictlyAscending else { throw .invalid(field: "missing") }
      libraries.append(library)
    }
    // One statement a library, in one order: there is one encoding, and nothing to choose between.
    guard libraries.lazy.map(\.library).isStrictlyAscending else { throw .invalid(field: "libraries") }
  }
}

extension Sequence where Element: Comparable {
  fileprivate var isStrictlyAscending: Bool { zip(self, dropFirst()).allSatisfy(<) }
}

/// An owner's request that the other owners of some contents forget them too; their users decide.
///
/// Canonical bytes: version u8 = 1 | requester 32 | number u64 | time i64 ns | withdrawn u8 (0, 1) | count u16, content 32 each.
/// Signed for `mantel/forget/1`.
package struct ForgetRequest: Hashable, Sendable {
  package var requester: MachineID
  package var number: UInt64
  package var time: WallTime
  /// Takes an earlier request for these contents back.
  package var isWithdrawn: Bool
  package var contents: [ContentID]

  package init(
    requester: MachineID, number: UInt64, time: WallTime, isWithdrawn: Bool, contents: [ContentID]
  ) {
    self.requester = requester
    self.number = number
    self.time = time
    self.isWithdrawn = isWithdrawn
    self.contents = contents
  }
}

extension ForgetRequest: SignableRecord {
  package static let version: UInt8 = 1
  package static let maximumBytes = 60 << 10
  package static let purpose = "mantel/forget/1"
  package var signer: MachineID { requester }

  package func encode(to writer: inout CanonicalWriter) {
    writer.write(Self.version)
    writer.write(requester)
    writer.write(number)
    writer.write(time.nanoseconds)
    writer.write(UInt8(isWithdrawn ? 1 : 0))
    writer.write(UInt16(contents.count))
    for content in contents { writer.write(content) }
  }

  package init(from reader: inout CanonicalReader) throws(RecordError) {
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    requester = try reader.readIdentifier()
    number = try reader.readInteger()
    time = WallTime(nanoseconds: try reader.readInteger())
    switch try reader.readInteger(UInt8.self) {
    case 0: isWithdrawn = false
    case 1: isWithdrawn = true
    default: throw .invalid(field: "withdrawn")
    }
    let count = Int(try reader.readInteger(UInt16.self))
    guard count <= Limits.idsPerFrame else { throw .overLimit(field: "contents") }
    contents = []
    for _ in 0..<count { contents.append(try reader.readIdentifier()) }
  }
}
