/// The order of a library's heads: epoch first, then sequence.
package struct HeadOrder: Hashable, Comparable, Sendable {
  /// Grows when the owner restarts its history after a restore.
  package var epoch: UInt64
  /// Grows by one with every published head of an epoch; the first is 1.
  package var sequence: UInt64

  package init(epoch: UInt64, sequence: UInt64) {
    self.epoch = epoch
    self.sequence = sequence
  }

  /// Before any head.
  package static let none = HeadOrder(epoch: 0, sequence: 0)

  /// The place of the head after this one, in this epoch or a later one.
  package func next(in epoch: UInt64) -> HeadOrder {
    epoch > self.epoch
      ? HeadOrder(epoch: epoch, sequence: 1) : HeadOrder(epoch: self.epoch, sequence: sequence + 1)
  }

  package static func < (left: Self, right: Self) -> Bool {
    left.epoch != right.epoch ? left.epoch < right.epoch : left.sequence < right.sequence
  }
}

/// How many entries of each state a library has, and the bytes of its wanted ones.
package struct LibraryCounts: Hashable, Sendable {
  package var live: UInt64 = 0
  package var retired: UInt64 = 0
  package var unheld: UInt64 = 0
  package var dropped: UInt64 = 0
  /// Bytes of live and retired entries, each entry counted.
  package var bytes: UInt64 = 0

  package init() {}

  package var entries: UInt64 { live + retired + unheld + dropped }

  /// Counts one entry in (`by` 1) or out (`by` -1). Traps when more is taken out than was put in.
  package mutating func count(_ entry: Entry, by delta: Int64) {
    func moved(_ value: UInt64, _ amount: UInt64) -> UInt64 {
      delta > 0 ? value + amount : value - amount
    }
    switch entry.state {
    case .live: live = moved(live, 1)
    case .retired: retired = moved(retired, 1)
    case .unheld: unheld = moved(unheld, 1)
    case .dropped: dropped = moved(dropped, 1)
    }
    if entry.state.isWanted { bytes = moved(bytes, entry.size) }
  }
}

/// A machine's statement of its whole library: a Merkle root over entry ids, and its place in the order.
///
/// Canonical bytes: version u8 = 1 | library 32 | signer 32 | epoch u64 | sequence u64 | root 32 |
/// live u64 | retired u64 | unheld u64 | dropped u64 | bytes u64 | time i64 ns. Signed for `mantel/head/1`.
package struct Head: Hashable, Sendable {
  /// The machine whose library this is.
  package var library: MachineID
  /// The machine itself, or its keeper once it was removed.
  package var signer: MachineID
  package var order: HeadOrder
  /// Merkle root over the ids of all entries.
  package var root: Digest256
  package var counts: LibraryCounts
  package var time: WallTime

  package init(
    library: MachineID, signer: MachineID, order: HeadOrder, root: Digest256,
    counts: LibraryCounts, time: WallTime
  ) {
    self.library = library
    self.signer = signer
    self.order = order
    self.root = root
    self.counts = counts
    self.time = time
  }
}

extension Head: SignableRecord {
  package static let version: UInt8 = 1
  package static let maximumBytes = 256
  package static let purpose = "mantel/head/1"
  /// Of an epoch or a sequence: far above any that counting leads to.
  package static let largestNumber: UInt64 = 1 << 62

  package func encode(to writer: inout CanonicalWriter) {
    writer.write(Self.version)
    writer.write(library)
    writer.write(signer)
    writer.write(order.epoch)
    writer.write(order.sequence)
    writer.write(root)
    for count in [counts.live, counts.retired, counts.unheld, counts.dropped, counts.bytes] {
      writer.write(count)
    }
    writer.write(time.nanoseconds)
  }

  /// Refuses sequence 0 and more entries than a library may have.
  package init(from reader: inout CanonicalReader) throws(RecordError) {
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    library = try reader.readIdentifier()
    signer = try reader.readIdentifier()
    order = HeadOrder(epoch: try reader.readInteger(), sequence: try reader.readInteger())
    guard order.sequence > 0 else { throw .invalid(field: "sequence") }
    // Whoever has stolen a key must not bring its owner to the end of the numbers.
    guard order.sequence <= Self.largestNumber, order.epoch <= Self.largestNumber else {
      throw .overLimit(field: "sequence")
    }
    root = try reader.readDigest()
    counts = LibraryCounts()
    counts.live = try reader.readInteger()
    counts.retired = try reader.readInteger()
    counts.unheld = try reader.readInteger()
    counts.dropped = try reader.readInteger()
    counts.bytes = try reader.readInteger()
    let limit = UInt64(Limits.entriesPerLibrary)
    var entries: UInt64 = 0
    for count in [counts.live, counts.retired, counts.unheld, counts.dropped] {
      guard count <= limit else { throw .overLimit(field: "entries") }
      entries += count
    }
    guard entries <= limit else { throw .overLimit(field: "entries") }
    time = WallTime(nanoseconds: try reader.readInteger())
  }
}
