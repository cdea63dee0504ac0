import Foundation
@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct ForgetCommandTests {
  private let pattern = "attic/Photos/2019/**"

  @Test func itTellsBeforeItActsAndAsks() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      let result = await mantel("forget", pattern, "--home", home, answer: "y")
      #expect(result.code == 0)
      #expect(
        result.messages.contains(
          """
          12 files and 1 deleted or replaced version (34 MB) will be forgotten:
            attic/Photos/2019/a.jpg
            and 12 more

          """))
      #expect(result.messages.contains("forget 13 files on all machines?"))
      #expect(
        result.text == """
          forgot 12 files and 1 deleted or replaced version (34 MB)
            13 files: on laptop: in its trash
          `mantel forget --undo 'attic/Photos/2019/**'` takes it back

          """)
    }
    #expect(fake.calls == ["forget \(pattern) - dry", "forget \(pattern) - 13 photos"])
  }

  @Test func noMeansNothingHappens() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      let result = await mantel("forget", pattern, "--home", home, answer: "n")
      #expect(result.code == 1 && result.output.isEmpty)
      // Nobody can be asked: a usage error, and nothing done either.
      #expect(await mantel("forget", pattern, "--home", home).code == 64)
    }
    #expect(fake.calls.allSatisfy { $0.hasSuffix("dry") })
  }

  @Test func yesAsksNobody() async throws {
    let fake = FakeControl { $0.forget.asksOthers = true }
    try await withFakeAgent(fake) { home in
      let result = await mantel("forget", pattern, "--yes", "--json", "--home", home)
      #expect(result.code == 0)
      #expect(result.messages.contains("other machines keep their copies until somebody confirms there"))
      let answer = try ControlCoding.value(ForgetAnswer.self, from: Data(result.output))
      #expect(answer == fake.answers.forget)
    }
  }

  @Test func aDryRunOnlyTells() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      let result = await mantel("forget", pattern, "--dry-run", "--home", home)
      #expect(
        result.code == 0 && result.text.contains("will be forgotten") && !result.text.contains("--undo"))
      let undo = await mantel("forget", pattern, "--dry-run", "--undo", "--home", home)
      #expect(undo.text.contains("would be kept again"))
    }
    #expect(fake.calls == ["forget \(pattern) - dry", "forget \(pattern) undo dry"])
  }

  @Test func undoAsksNothing() async throws {
    let fake = FakeControl { $0.forget.kept = [] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("forget", "--undo", pattern, "--home", home)
      #expect(result.text == "kept again: 12 files and 1 deleted or replaced version (34 MB)\n")
    }
    #expect(fake.calls == ["forget \(pattern) undo -"])
  }

  /// Two removed machines of one name. Fails where only the sum is told.
  @Test func eachOfSeveralLibrariesIsCounted() async throws {
    let fake = FakeControl {
      $0.forget.libraries = [("abcdef0123", 4), ("fedcba9876", 9)].map {
        ForgottenLibrary(machine: "attic", id: $0.0, photos: $0.1)
      }
    }
    let lines = "  of attic (abcdef01): 4 files\n  of attic (fedcba98): 9 files\n"
    try await withFakeAgent(fake) { home in
      let result = await mantel("forget", pattern, "--home", home, answer: "y")
      #expect(result.messages.contains("and 12 more\n" + lines))
      #expect(result.text.hasPrefix("forgot 12 files and 1 deleted or replaced version (34 MB)\n" + lines))
    }
  }

  @Test func whatWasTakenBackAndIsNowhereIsSaid() async throws {
    let fake = FakeControl {
      $0.forget.kept = []
      $0.forget.unfound = FileCount(files: 2, bytes: 3_000_000)
    }
    try await withFakeAgent(fake) { home in
      let result = await mantel("forget", "--undo", pattern, "--home", home)
      #expect(result.code == 1)
      #expect(result.text.contains("2 files (3.0 MB): on no machine that is known to have them"))
      #expect(result.messages.contains("2 files did not come back"))
    }
  }

  @Test(arguments: ["laptop", "abcdef01", "ABCDEF0100"])
  func whatAnotherMachineDroppedIsAcceptedByItsNameOrId(name: String) async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      #expect(await mantel("forget", "--accept", name, "--home", home, answer: "n").code == 1)
      // Nobody can be asked.
      #expect(await mantel("forget", "--accept", name, "--home", home).code == 64)
      let result = await mantel("forget", "--accept", name, "--home", home, answer: "y")
      #expect(result.messages.contains("let go of 12 files (5.0 MB) that laptop forgot"))
      #expect(result.text == "12 files of laptop go to the trash\n")
      let refused = await mantel("forget", "--refuse", name, "--home", home)
      #expect(refused.code == 0 && refused.text == "12 files of laptop are kept for good\n")
    }
    let decisions = fake.calls.filter { $0.hasPrefix("drops ") }
    #expect(decisions == ["drops abcdef01 true 12 copies", "drops abcdef01 false -"])
  }

  @Test(arguments: [
    ["--accept", "studio"], ["--refuse", "studio"], ["--grant", "studio"], ["--grant", "12345678"],
  ])
  func nothingIsDoneForAMachineThatAsksNothing(arguments: [String]) async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      #expect(await mantel(["forget"] + arguments + ["--yes", "--home", home]).code == 1)
    }
    #expect(fake.calls.allSatisfy { $0 == "drops" || $0 == "forgetRequests" })
  }

  @Test func requestsAreListedGrantedAndDeclined() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      let list = await mantel("forget", "--requests", "--home", home)
      #expect(
        list.text == """
          laptop asks to forget 2 files (3.0 MB):
            attic/Photos/a.jpg
          `mantel forget --grant laptop` forgets them, `mantel forget --decline laptop` keeps them

          """)
      #expect(await mantel("forget", "--grant", "laptop", "--home", home, answer: "n").code == 1)
      #expect(await mantel("forget", "--grant", "abcdef01", "--home", home).code == 64)
      let granted = await mantel("forget", "--grant", "laptop", "--home", home, answer: "y")
      #expect(granted.messages.contains("forget 2 files (3.0 MB) of this machine?"))
      #expect(granted.text == "forgot 2 files, as laptop asked\n")
      let declined = await mantel("forget", "--decline", "laptop", "--home", home)
      #expect(declined.text == "kept; laptop is not asked about again\n")
    }
    #expect(
      fake.calls.filter { $0.hasPrefix("decide") } == [
        "decide abcdef01 true 2 photos", "decide abcdef01 false -",
      ])
  }

  @Test(arguments: [["forget"], ["forget", "a", "--accept", "b"], ["forget", "--accept", "b", "--undo"]])
  func whatMakesNoSenseIsRefused(arguments: [String]) async {
    #expect(await mantel(arguments).code == 64)
  }

  @Test func statusTellsOfTrashAndOfWhatIsStillKept() {
    let status = Samples.status {
      $0.trash = [TrashAnswer(machine: "laptop", files: 3, bytes: 6_000_000, daysLeft: 12)]
      $0.forgotten = [KeptAnswer(machine: "studio", reason: "away", files: 1, message: "on studio")]
    }
    let text = StatusText.text(status)
    #expect(text.contains("trash: 3 files (6.0 MB) that laptop forgot; the first go in 12 days of running\n"))
    #expect(text.contains("forgotten, and still kept:\n  1 file: on studio\n"))
  }

  /// What may not go stays in the trash beyond its time. Fails where zero days are told like any other number.
  @Test(arguments: [
    (0, "at the next daily look, unless they are still needed here"), (1, "in 1 day of running"),
    (2, "in 2 days of running"),
  ])
  func statusPromisesNoEndOfWhatIsOverdueInTheTrash(daysLeft: Int, end: String) {
    let status = Samples.status {
      $0.trash = [TrashAnswer(machine: "laptop", files: 3, bytes: 6_000_000, daysLeft: daysLeft)]
    }
    let line = "trash: 3 files (6.0 MB) that laptop forgot; the first go \(end)\n"
    #expect(StatusText.text(status).contains(line))
  }
}
