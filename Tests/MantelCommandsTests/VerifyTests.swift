import Foundation
@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct VerifyTests {
  @Test(
    arguments: [
      ("done", 0, 0, 0, 0), ("done", 3, 3, 0, 0), ("done", 3, 2, 0, 1), ("stopped", 0, 0, 0, 1),
      ("unavailable", 0, 0, 0, 1), ("done", 0, 0, 1, 2), ("done", 3, 2, 1, 2),
    ] as [(String, Int, Int, Int, Int32)])
  func endsWithWhatWasFound(state: String, bad: Int, healed: Int, suspected: Int, code: Int32) async throws {
    let answer = Samples.verify {
      ($0.state, $0.bad, $0.healed, $0.stillBad, $0.suspected) = (state, bad, healed, bad - healed, suspected)
    }
    try await withFakeAgent(FakeControl { $0.verify = [answer] }) { home in
      let result = await mantel("verify", "--json", "--home", home)
      #expect(result.code == code)
      let printed = try ControlCoding.value(VerifyAnswer.self, from: Data(result.output))
      #expect(printed == answer)
    }
  }

  @Test func followsTheVerificationToItsEnd() async throws {
    let fake = FakeControl {
      $0.verify = [
        Samples.verify { $0.state = "reading" }, Samples.verify { $0.state = "healing" }, Samples.verify(),
      ]
    }
    try await withFakeAgent(fake) { home in
      let result = await mantel("verify", "--all", "--machine", "laptop", "--home", home)
      #expect(result.code == 0)
      #expect(result.text == "done: 1,200 files (3.6 GB) read\nnothing was bad\n")
      #expect(result.messages.isEmpty, "progress is for terminals")
    }
    #expect(fake.calls == ["startVerify true laptop", "verifyProgress", "verifyProgress"])
  }

  @Test func acknowledgingReadsNothing() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      #expect(await mantel("verify", "--acknowledge", "--home", home).code == 0)
      #expect(await mantel("verify", "--acknowledge", "--all", "--home", home).code == 64)
    }
    #expect(fake.calls == ["acknowledgeBadFiles"])
  }

  @Test func theSummaryNamesTheDiskAndWhatIsLeft() {
    let text = VerifyText.summary(
      Samples.verify {
        ($0.bad, $0.healed, $0.stillBad, $0.suspected) = (50, 49, 1, 1)
      })
    #expect(text.contains("50 files bad on WDC WD40EFRX, /dev/sda1, mounted on /srv, 49 of them healed\n"))
    #expect(text.contains("1 file still bad"))
    #expect(text.contains("1 file of this machine's own folders"))
  }

  @Test func progressTellsBytesAndWhatIsBad() {
    let half = Samples.verify {
      ($0.state, $0.files, $0.bytes, $0.bad) = ("reading", 600, 1_800_000_000, 2)
    }
    #expect(VerifyText.progress(half) == "50 %: 600 of 1,200 files, 1.8 GB of 3.6 GB, 2 bad")
    let nothing = Samples.verify { ($0.state, $0.total) = ("reading", FileCount(files: 0, bytes: 0)) }
    #expect(VerifyText.progress(nothing).hasPrefix("100 %"))
  }
}
