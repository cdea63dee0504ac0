import Foundation
@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct MembershipCommandTests {
  // MARK: Role

  @Test func aRoleIsExplainedBeforeItIsTaken() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      let result = await mantel("role", "source", "--home", home, answer: "y")
      #expect(result.code == 0)
      #expect(result.messages.contains("1,200 files (3.6 GB) that are here stay"))
      #expect(result.messages.contains("then these machines keep copies: attic, studio"))
      #expect(result.messages.contains("make this machine source?"))
      #expect(result.text == "this machine is a source: it gives its own photos and takes none\n")
    }
    #expect(fake.calls == ["role source dry", "role source -"])
  }

  @Test func noChangesNoRole() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      #expect(await mantel("role", "source", "--home", home, answer: "n").code == 1)
      #expect(await mantel("role", "source", "--home", home).code == 64, "nobody can be asked")
      #expect(await mantel("role", "mirror", "--yes", "--home", home).code == 64)
      let same = await mantel("role", "full", "--yes", "--home", home)
      #expect(same.code == 0 && same.text == "this machine is full already\n")
    }
    #expect(fake.calls == ["role source dry", "role source dry", "role full dry"])
  }

  @Test func theLastKeeperIsTold() {
    let answer = Samples.role { $0.fullMachines = [] }
    #expect(MembershipText.explanation(answer).contains("no machine keeps copies any more"))
    let full = Samples.role {
      ($0.role, $0.former, $0.missing) = ("full", "source", FileCount(files: 7, bytes: 21_000_000))
    }
    #expect(
      MembershipText.explanation(full).hasPrefix(
        "7 files (21 MB) of other machines are copied here from now on; 90 GB are free for copies\n"))
  }

  // MARK: Leaving

  @Test func leavingTellsWhatItCosts() async throws {
    let fake = FakeControl { ($0.leave.unsafe, $0.leave.onlyHere) = (3, 2) }
    try await withFakeAgent(fake) { home in
      let result = await mantel("leave", "--home", home, answer: "y")
      #expect(result.code == 0)
      #expect(result.messages.contains("3 files of this machine are not known to be on another one"))
      #expect(result.messages.contains("2 files of other machines are, as far as is known, nowhere but here"))
      #expect(result.messages.contains("stay in /home/anna/Mantel"))
      #expect(result.text.hasPrefix("left home; whoever is connected is told, and tells the others: attic"))
    }
    #expect(fake.calls == ["leave dry", "leave -"])
  }

  @Test func whoDoesNotSayYesStays() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      #expect(await mantel("leave", "--home", home, answer: "n").code == 1)
      #expect(await mantel("leave", "--home", home).code == 64)
      let left = await mantel("leave", "--yes", "--json", "--home", home)
      let printed = try ControlCoding.value(LeaveAnswer.self, from: Data(left.output))
      #expect(printed == fake.answers.leave)
    }
    #expect(fake.calls == ["leave dry", "leave dry", "leave dry", "leave -"])
  }

  // MARK: Release

  @Test func aReleaseIsFollowedToItsEnd() async throws {
    let fake = FakeControl {
      $0.releasePreview.single = 4
      $0.release = [Samples.release { $0.state = "releasing" }, Samples.release()]
    }
    try await withFakeAgent(fake) { home in
      let result = await mantel("release", "--home", home, answer: "y")
      #expect(result.code == 0)
      #expect(result.messages.contains("attic, studio keep copies, and say to hold 1,090 of them"))
      #expect(result.messages.contains("4 photos are then on one machine only"))
      #expect(result.text == "done: 1,200 files (3.6 GB) deleted here\n")
    }
    #expect(fake.calls == ["releasePreview", "startRelease", "releaseProgress"])
  }

  @Test func whatStaysIsToldWithItsReason() async throws {
    let kept = ReleaseAnswer.Kept(
      reason: "unproven", copies: FileCount(files: 2, bytes: 6_000_000),
      message: "studio says that it holds them, and did not show it", machine: "studio")
    let fake = FakeControl { $0.release = [Samples.release { $0.kept = [kept] }] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("release", "--yes", "--home", home)
      #expect(result.code == 1)
      #expect(
        result.text.hasSuffix(
          "2 files (6.0 MB) stay: studio says that it holds them, and did not show it\n"))
    }
  }

  @Test func aRefusalSaysWhatToDo() async throws {
    let fake = FakeControl { $0.releasePreview.refusal = "studio must be connected" }
    try await withFakeAgent(fake) { home in
      let result = await mantel("release", "--yes", "--home", home)
      #expect(result.code == 1 && result.messages.contains("studio must be connected"))
    }
    #expect(fake.calls == ["releasePreview"])
  }
}
