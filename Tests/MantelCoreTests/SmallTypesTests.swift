import MantelCore
import Testing

@Suite struct EntryKindTests {
  @Test(
    arguments: [
      ("a/IMG_1.JPG", .photo), ("x.heic", .photo), ("x.NEF", .raw), ("a.b/c.CR3", .raw),
      ("clip.MoV", .video), ("IMG_1.JPG.xmp", .sidecar), ("notes.txt", .other), ("noextension", .other),
      ("dir.jpg/noextension", .other), ("trailing.", .other), ("", .other),
    ] as [(String, EntryKind)])
  func isToldByTheExtension(path: String, kind: EntryKind) {
    #expect(EntryKind(path: Array(path.utf8)) == kind)
  }

  @Test func takesBytesThatAreNotText() {
    #expect(EntryKind(path: [0xff, 0xfe, 0x2e, 0xff]) == .other)
    #expect(EntryKind(path: [0xff] + Array(".jpg".utf8)) == .photo)
  }
}

@Suite struct NetworkAddressTests {
  @Test(
    arguments: [
      ("192.168.1.7:62683", "192.168.1.7", 62683), ("nas.local:1", "nas.local", 1),
      ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535), ("[::1]:80", "::1", 80),
    ] as [(String, String, UInt16)])
  func readsAndPrints(text: String, host: String, port: UInt16) {
    #expect(NetworkAddress(text) == NetworkAddress(host: host, port: port))
    #expect(NetworkAddress(host: host, port: port).description == text)
  }

  @Test(arguments: [
    "", "host", "host:", ":80", "[]:80", "host:0", "host:65536", "host:-1", "host:x", "::1:80",
    "fe80::1", "a b:80", "host:80 ", String(repeating: "h", count: 256) + ":80",
  ])
  func refusesTheRest(text: String) {
    #expect(NetworkAddress(text) == nil)
  }

  @Test func longestHostIsTaken() {
    #expect(NetworkAddress(String(repeating: "h", count: Limits.hostBytes) + ":80") != nil)
  }
}

@Suite struct OrderTests {
  @Test func epochOutranksSequence() {
    let orders = [
      HeadOrder.none, HeadOrder(epoch: 0, sequence: 9), HeadOrder(epoch: 1, sequence: 1),
      HeadOrder(epoch: 1, sequence: 2), HeadOrder(epoch: 2, sequence: 1),
    ]
    #expect(orders.reversed().sorted() == orders)
  }

  @Test(
    arguments: [
      (0, 0), (1, 0), (999_999_999, 0), (1_000_000_000, 1), (-1, -1), (-1_000_000_000, -1),
      (-1_000_000_001, -2), (.max, 9_223_372_036), (.min, -9_223_372_037),
    ] as [(Int64, Int64)])
  func wallSecondsRoundDown(nanoseconds: Int64, seconds: Int64) {
    #expect(WallTime(nanoseconds: nanoseconds).seconds == seconds)
  }

  @Test func instantsAddAndSubtractDurations() {
    let start = Instant(nanoseconds: 5)
    let later = start + .milliseconds(1_500)
    #expect(later.nanoseconds == 1_500_000_005)
    #expect(later - start == .milliseconds(1_500))
    #expect((later - start).inSeconds == 1.5)
  }

  @Test func stampsDifferInAllButTheDevice() {
    let stamp = FileStamp(size: 1, mtime: 2, ctime: 3, inode: 4, device: 5)
    #expect(stamp.isSame(as: FileStamp(size: 1, mtime: 2, ctime: 3, inode: 4, device: 9)))
    #expect(!stamp.isSame(as: FileStamp(size: 9, mtime: 2, ctime: 3, inode: 4, device: 5)))
    #expect(!stamp.isSame(as: FileStamp(size: 1, mtime: 9, ctime: 3, inode: 4, device: 5)))
    #expect(!stamp.isSame(as: FileStamp(size: 1, mtime: 2, ctime: 9, inode: 4, device: 5)))
    #expect(!stamp.isSame(as: FileStamp(size: 1, mtime: 2, ctime: 3, inode: 9, device: 5)))
  }

  @Test func countsFollowEntriesInAndOut() {
    let entries = [
      Entry.fixture(size: 10), .fixture(size: 20, state: .retired(.deleted, at: WallTime(nanoseconds: 1))),
      .fixture(size: 40, state: .unheld(at: WallTime(nanoseconds: 1))),
      .fixture(path: [], size: 80, state: .dropped(at: WallTime(nanoseconds: 1))),
    ]
    var counts = LibraryCounts()
    for entry in entries { counts.count(entry, by: 1) }
    #expect(counts.entries == 4)
    #expect([counts.live, counts.retired, counts.unheld, counts.dropped] == [1, 1, 1, 1])
    #expect(counts.bytes == 30)
    for entry in entries { counts.count(entry, by: -1) }
    #expect(counts == LibraryCounts())
  }
}
