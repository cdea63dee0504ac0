import MantelCore

/// A seeded generator: the same seed gives the same run.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}

func machineID(_ number: UInt64) -> MachineID { MachineID(Digest256(1, 0, 0, number)) }
func contentID(_ number: UInt64) -> ContentID { ContentID(Digest256(2, 0, 0, number)) }
func folderID(_ number: UInt64) -> FolderID { FolderID(high: 3, low: number) }

extension Entry {
  static func fixture(
    path: [UInt8] = Array("2024/IMG_0001.JPG".utf8), size: UInt64 = 3_000_000,
    mtime: Int64 = -1, state: EntryState = .live, manifest: Digest256? = nil
  ) -> Entry {
    Entry(
      folder: folderID(1), path: path, content: contentID(1), size: size, mtime: mtime, kind: .photo,
      state: state, manifest: manifest)
  }
}

extension Head {
  static func fixture(
    order: HeadOrder = HeadOrder(epoch: 1, sequence: 7), counts: LibraryCounts = LibraryCounts()
  ) -> Head {
    Head(
      library: machineID(1), signer: machineID(2), order: order, root: Digest256(4, 4, 4, 4),
      counts: counts, time: WallTime(nanoseconds: -5))
  }
}

extension LibraryCounts {
  init(live: UInt64, retired: UInt64 = 0, unheld: UInt64 = 0, dropped: UInt64 = 0) {
    self.init()
    self.live = live
    self.retired = retired
    self.unheld = unheld
    self.dropped = dropped
  }
}

extension MachineRecord {
  static func fixture(
    name: String = "Küche", program: String = "mantel 1.0",
    addresses: [NetworkAddress] = [NetworkAddress(host: "192.168.1.7", port: 62683)],
    folders: [FolderName] = [FolderName(id: folderID(1), name: "Bilder")]
  ) -> MachineRecord {
    MachineRecord(
      machine: machineID(1), number: 9, name: name, role: .source, program: program,
      addresses: addresses, folders: folders)
  }
}

extension LibraryAttestation {
  static func fixture(
    _ number: UInt64 = 1, missing: Int = 2, missingCount: UInt64? = nil
  ) -> LibraryAttestation {
    LibraryAttestation(
      library: machineID(number), order: HeadOrder(epoch: 1, sequence: 7),
      heldRoot: Digest256(5, 5, 5, 5), missingCount: missingCount ?? UInt64(missing),
      missingBytes: 6_000_000, missing: (0..<missing).map { contentID(UInt64($0)) })
  }
}

extension Attestation {
  static func fixture(libraries: [LibraryAttestation] = [.fixture()]) -> Attestation {
    Attestation(
      holder: machineID(3), number: 4, time: WallTime(nanoseconds: 1), filesystem: folderID(8),
      oldestReread: WallTime(nanoseconds: 0), libraries: libraries)
  }
}

extension ForgetRequest {
  static func fixture(contents: Int = 2) -> ForgetRequest {
    ForgetRequest(
      requester: machineID(1), number: 2, time: WallTime(nanoseconds: 3), isWithdrawn: true,
      contents: (0..<contents).map { contentID(UInt64($0)) })
  }
}
