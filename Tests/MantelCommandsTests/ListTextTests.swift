import Foundation
@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct ListTextTests {
  @Test func aPingIsAColumnOfItsOwn() {
    let pinged = Samples.peer { $0.roundTripSeconds = 0.001_24 }
    let answer = PeersAnswer(
      peers: [pinged, Samples.peer()], admitted: [], strangers: [], removed: [], fixedAddresses: [])
    let lines = PeersText.table(answer, now: Samples.now, isPinged: true).split(separator: "\n")
    #expect(
      lines.map { $0.split(separator: " ").suffix(2).joined(separator: " ") } == [
        "VERSION PING", "1.2 ms", "0.1.0 -",
      ])
    #expect(PeersText.details(pinged, now: Samples.now).hasSuffix("ping               1.2 ms\n"))
  }

  @Test func peersAreATable() {
    let answer = PeersAnswer(
      peers: [
        Samples.peer(),
        Samples.peer {
          $0.name = "studio"
          $0.state = "away"
          $0.complete = false
          $0.lacks = FileCount(files: 12, bytes: 34_000_000)
          $0.lastSeen = "2026-04-30T12:00:00Z"
          $0.address = nil
          $0.library = nil
          $0.heldHere = 0
          $0.sentBytesPerSecond = 0
          $0.version = nil
        },
      ],
      admitted: [
        PeersAnswer.Admitted(
          name: "new\u{1b}", id: String(repeating: "d", count: 64), admittedBy: "laptop",
          admittedAt: Samples.now)
      ],
      strangers: [PeersAnswer.Stranger(instance: "x\u{7}y", address: "192.0.2.9:62683")],
      removed: [
        PeersAnswer.Removed(name: "lost", id: String(repeating: "e", count: 64), removedBy: "attic")
      ], fixedAddresses: ["192.0.2.8:62683"])
    #expect(
      PeersText.table(answer, now: Samples.now) == """
        MACHINE  STATE      HOLDS                        LAST SEEN  PHOTOS  HERE  IN     OUT       ADDRESS          VERSION
        laptop   connected  complete (proved 3 min ago)  now        300     300   0 B/s  1.5 kB/s  192.0.2.7:62683  mantel 0.1.0
        studio   away       lacks 12 files (34 MB)       24 h ago   -       0     0 B/s  0 B/s     -                -
        fixed address: 192.0.2.8:62683
        admitted, has not joined yet: new\\x1b (dddddddd) by laptop
        removed: lost (eeeeeeee) by attic
        stranger: x\\x07y at 192.0.2.9:62683

        """)
  }

  @Test func aPeerIsFoundByNameOrId() {
    let other = Samples.peer {
      $0.name = "cccccccc"
      $0.id = String(repeating: "f", count: 64)
    }
    let answer = PeersAnswer(
      peers: [Samples.peer(), other], strangers: [], removed: [], fixedAddresses: [])
    #expect(PeersText.matching("laptop", in: answer).map(\.name) == ["laptop"])
    #expect(PeersText.matching("FFFFFFFFF", in: answer).map(\.name) == ["cccccccc"])
    // A name counts before the digits of an id.
    #expect(PeersText.matching("cccccccc", in: answer).map(\.name) == ["cccccccc"])
    #expect(PeersText.matching("ccc", in: answer).isEmpty)
  }

  @Test func filesAreALineEach() {
    #expect(FilesText.line(Samples.file()) == "2 of 3   2.1 MB  2024-05-01  attic/Photos/2024/a.jpg")
    let retired = Samples.file {
      $0.state = "retired"
      $0.path = PathText(bytes: [97, 10, 255])
    }
    #expect(
      FilesText.line(retired) == "2 of 3   2.1 MB  2024-05-01  attic/Photos/a\\n\\xff  [retired]")
    #expect(FilesText.line(Samples.skipped()) == "Photos/link: a symbolic link")
  }

  @Test func whereNamesProofs() {
    let answer = WhereAnswer(
      sha256: Samples.sha256, size: 1_000, names: [Samples.file()],
      holders: [
        WhereAnswer.Holder(
          machine: "attic", proof: "here", reread: nil,
          paths: [PathText(path: "/home/anna/Photos/2024/a.jpg", pathBase64: nil)]),
        WhereAnswer.Holder(machine: "laptop", proof: "attested", reread: Samples.now, paths: []),
        WhereAnswer.Holder(machine: "studio", proof: "connected", reread: nil, paths: []),
      ])
    #expect(
      FilesText.text(answer) == """
        \(Samples.sha256)  1.0 kB
          attic/Photos/2024/a.jpg
        held by attic: checked on this machine
            /home/anna/Photos/2024/a.jpg
        held by laptop: signed statement, everything there re-read since 2026-05-01T12:00:00Z
        held by studio: says so now, not yet in a signed statement

        """)
  }

  @Test(arguments: [
    ("/a b.jpg", "H  /a b.jpg\n"), ("/a\nb", "\\H  /a\\nb\n"), ("/a\\b", "\\H  /a\\\\b\n"),
    ("/a\rb", "H  /a\rb\n"), ("/a\r", "\\H  /a\\r\n"), ("/\\n\n", "\\H  /\\\\n\\n\n"),
  ])
  func sumsHaveTheFormatOfSha256sum(path: String, line: String) {
    #expect(SumsText.line(sha256: "H", path: Array(path.utf8)) == Array(line.utf8))
  }

  /// The program that has to read it is the judge.
  @Test func sha256sumReadsSumsOfHostileNames() async throws {
    let content = Data("mantel".utf8)
    let sum = "2f500c239d50c37b6808057d954237801af7b31050a76ada49d61ec13e26fc3c"
    let names: [[UInt8]] = [
      Array("plain".utf8), Array("-dash".utf8), Array(" space ".utf8), Array("new\nline".utf8),
      Array("back\\slash".utf8), Array("\\n".utf8), Array("cr\r".utf8), Array("c\rr".utf8),
      Array("both\n\\\r".utf8), Array("quote\"'`$".utf8), [255, 254, 10, 128], Array("*star".utf8),
      Array(repeating: UInt8(ascii: "x"), count: 255),
    ]
    try await withTemporaryDirectory { directory in
      var list: [UInt8] = []
      for name in names {
        let path = Array("\(directory)/".utf8) + name
        let descriptor = open(path.map(CChar.init(bitPattern:)) + [0], O_WRONLY | O_CREAT, 0o600)
        try #require(descriptor >= 0)
        try FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).write(contentsOf: content)
        list += SumsText.line(SumAnswer(sha256: sum, path: PathText(bytes: path), machine: "m"))
      }
      let listing = URL(fileURLWithPath: directory + "/SHA256SUMS")
      try Data(list).write(to: listing)
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
      process.arguments = ["--check", "--strict", "--quiet", listing.path]
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
  }
}
