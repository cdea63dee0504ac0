@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct StatusTextTests {
  @Test func completeSaysWhy() {
    #expect(
      StatusText.text(Samples.status()) == """
        complete
          this machine holds the photos of all others, and its own are proved to be on another one
        attic: 1,203 files seen = 1,200 safe + 0 pending + 3 skipped
          laptop  connected  complete (proved 3 min ago)

        """)
  }

  @Test func copyingShowsReasonsProgressAndWhatPeersLack() {
    let status = Samples.status {
      $0.state = "copying"
      $0.complete = false
      $0.missing = FileCount(files: 312, bytes: 1_200_000_000)
      $0.bytesPerSecond = 24_000_000
      $0.etaSeconds = 50
      $0.reasons = [
        ReasonAnswer(
          code: "missing", message: "312 photos of other machines are not here yet", files: 312,
          bytes: 1_200_000_000),
        ReasonAnswer(code: "filing", message: "copies are being put in their places"),
      ]
      $0.ledger = LedgerAnswer(seen: 1, safe: 0, pending: 1, skipped: 0)
      $0.peers = [
        Samples.peer {
          $0.complete = false
          $0.lacks = FileCount(files: 1, bytes: 34_000_000)
        },
        Samples.peer {
          $0.name = "old\u{1b}[2J"
          $0.role = "source"
          $0.state = "away"
          $0.complete = false
          $0.attested = nil
          $0.lastSeen = "2026-05-01T09:00:00Z"
        },
        Samples.peer {
          $0.name = "new"
          $0.state = "away"
          $0.complete = false
          $0.lastSeen = nil
        },
      ]
      $0.discovery = "unavailable: no daemon"
      $0.notices = ["new was admitted by attic at 2026-05-01T08:00:00Z"]
    }
    #expect(
      StatusText.text(status) == """
        copying
          312 photos of other machines are not here yet (1.2 GB)
          copies are being put in their places
          copying at 24 MB/s, about 50 s left
          peers are not discovered by themselves now: unavailable: no daemon
        attic: 1 file seen = 0 safe + 1 pending + 0 skipped
          laptop               connected  lacks 1 file (34 MB)
          old\\x1b[2J (source)  away       nothing proved yet                          last seen 3 h ago
          new                  away       not proved complete (last proof 3 min ago)  never seen
        notice: new was admitted by attic at 2026-05-01T08:00:00Z

        """)
  }

  @Test func completeButArrivingSaysBoth() {
    let text = StatusText.text(Samples.status { $0.arriving = 2 })
    #expect(text.contains("\n  +2 arriving: newer photos of that many machines\n"))
  }

  @Test func aSourceClaimsNothingAboutOthersPhotos() {
    let text = StatusText.text(Samples.status { $0.role = "source" })
    #expect(!text.contains("holds the photos of all others"))
  }

  @Test(arguments: [
    ("complete", true, true, false, CommandStatus.complete), ("complete", true, true, true, .complete),
    ("complete", true, false, false, .complete), ("complete", true, false, true, .notComplete),
    ("copying", false, false, false, .notComplete), ("waiting", false, false, true, .notComplete),
    ("attention", false, false, false, .attention), ("attention", true, true, true, .attention),
  ])
  func exitCodes(state: String, complete: Bool, settled: Bool, waited: Bool, code: CommandStatus) {
    let status = Samples.status {
      $0.state = state
      $0.complete = complete
      $0.settled = settled
    }
    #expect(CommandStatus(status, waited: waited) == code)
  }
}
