import Foundation
@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct RestoreCommandTests {
  private static let size = FileCount(files: 2, bytes: 3_000)

  private func item(_ state: String, _ message: String?) -> JobItem {
    JobItem(
      state: state, machine: "attic", folder: "Photos", path: PathText(path: "a\n.jpg", pathBase64: nil),
      target: PathText(path: "/r/a (12345678).jpg", pathBase64: nil), size: 1_000, sha256: Samples.sha256,
      message: message)
  }

  private func job(
    _ kind: String, _ counts: [String: FileCount], items: [JobItem] = [], total: FileCount? = nil,
    next: Int = 0,
    state: String = "done"
  ) -> JobAnswer {
    var job = Samples.job(kind: kind, state: state, counts: counts, items: items, next: next)
    job.total = total
    return job
  }

  // MARK: Restore

  @Test func whatIsAskedForReachesTheAgentAndItsWordsThePerson() async throws {
    let first = job(
      "restore", ["suffixed": FileCount(files: 1, bytes: 1_000)],
      items: [item("suffixed", "another lies there")],
      next: 1, state: "running")
    let last = job(
      "restore",
      [
        "restored": FileCount(files: 1_200, bytes: 2_500_000), "suffixed": FileCount(files: 1, bytes: 1_000),
        "present": FileCount(files: 3, bytes: 9), "failed": FileCount(files: 1, bytes: 5),
      ], items: [item("failed", "not reachable: last attested by ben")],
      total: FileCount(files: 1_205, bytes: 1),
      next: 2)
    let fake = FakeControl { $0.job = [first, last] }
    try await withFakeAgent(fake) { home in
      let result = await mantel(
        "restore", "attic/**", "--machine", "attic", "--to", "/r/../x", "--retired", "--home", home)
      #expect(result.code == 1)
      #expect(
        result.text == """
          under another name: attic/Photos/a\\n.jpg -> /r/a (12345678).jpg: another lies there
          not restored: attic/Photos/a\\n.jpg: not reachable: last attested by ben
          restored 1,201 files (2.5 MB), 3 already there, 1 of them under another name, 1 not restored

          """)
    }
    let directory = Data("/x".utf8).base64EncodedString()
    #expect(fake.calls == ["restore attic/** attic \(directory) true - false false", "job 7 0", "job 7 1"])
  }

  @Test func jsonIsALineForEachItemAndOneForTheWhole() async throws {
    let all = job(
      "restore", ["restored": Self.size], items: [item("suffixed", "there")], total: Self.size, next: 1)
    try await withFakeAgent(FakeControl { $0.job = [all] }) { home in
      let result = await mantel("restore", "--to", "/r", "--json", "--home", home)
      #expect(result.code == 0)
      let lines = result.text.split(separator: "\n").map { Data($0.utf8) }
      #expect(lines.count == 2)
      #expect(try ControlCoding.value(JobItem.self, from: lines[0]).state == "suffixed")
      let summary = try ControlCoding.value(JobAnswer.self, from: lines[1])
      #expect(summary.counts == ["restored": Self.size] && summary.items.isEmpty)
    }
  }

  @Test(
    arguments: [
      (["restored": FileCount(files: 2, bytes: 3_000)], 0, "restored 2 files (3.0 kB)\n"),
      (["present": FileCount(files: 2, bytes: 3_000)], 0, "restored nothing, 2 already there\n"),
      (["failed": FileCount(files: 2, bytes: 3_000)], 1, "restored nothing, 2 not restored\n"),
    ] as [([String: FileCount], Int32, String)])
  func theExitCodeSaysWhetherAllIsThere(counts: [String: FileCount], code: Int32, text: String) async throws {
    let fake = FakeControl { $0.job = [job("restore", counts, total: Self.size)] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("restore", "--to", "/r", "--home", home)
      #expect(result.code == code && result.text == text)
    }
  }

  @Test func nothingToRestoreIsNoSuccess() async throws {
    let fake = FakeControl { $0.job = [job("restore", [:], total: FileCount(files: 0, bytes: 0))] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("restore", "nothing", "--to", "/r", "--home", home)
      #expect(result.code == 1 && result.text == "no photo matches: nothing to restore\n")
    }
  }

  @Test(arguments: ["failed", "cancelled"]) func aJobThatDidNotEndWellIsNoSuccess(state: String) async throws
  {
    var answer = job("restore", ["restored": Self.size], total: Self.size, state: state)
    answer.message = state == "failed" ? "no room" : nil
    let fake = FakeControl { [answer] in $0.job = [answer] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("restore", "--to", "/r", "--home", home)
      #expect(result.code == 1)
      #expect(result.messages.contains(state == "failed" ? "no room" : "run it again"))
    }
  }

  @Test func writingIntoOnesOwnFolderNeedsAYes() async throws {
    let fake = FakeControl {
      $0.question = "This writes into the folder Photos"
      $0.job = [job("restore", ["restored": Self.size], total: Self.size)]
    }
    try await withFakeAgent(fake) { home in
      let unasked = await mantel("restore", "--to", "/photos", "--home", home)
      #expect(unasked.code == 64 && unasked.messages.contains("--yes"))
      #expect(await mantel("restore", "--to", "/photos", "--home", home, answer: "n").code == 1)
      #expect(fake.calls.allSatisfy { $0.hasSuffix("false false") })
      let agreed = await mantel("restore", "--to", "/photos", "--home", home, answer: "y")
      #expect(agreed.code == 0 && agreed.messages.contains("This writes into the folder Photos [y/N]"))
      #expect(await mantel("restore", "--to", "/photos", "--yes", "--home", home).code == 0)
      #expect(fake.calls.count { $0.hasSuffix("false true") } == 2)
    }
  }

  @Test func aMomentIsATimeOrHowLongAgo() async throws {
    #expect(MomentOption(argument: "2026-05-01T14:00:00+02:00")?.text == "2026-05-01T12:00:00Z")
    #expect(MomentOption(argument: "yesterday") == nil)
    let (earlier, later) = (MomentOption(argument: "2d")?.text, MomentOption(argument: "1h")?.text)
    #expect(try #require(earlier) < #require(later))
    #expect(await mantel("restore", "--to", "/r", "--as-of", "soon").code == 64)
    #expect(await mantel("restore", "--to", "/r", "--as-of", "1h", "--retired").code == 64)
    #expect(await mantel("restore").code == 64)
  }

  @Test func aDryRunTellsWhatAndFromWhere() async throws {
    let answer = job(
      "restore", ["wouldRestore": Self.size], items: [item("wouldRestore", "from ben")], total: Self.size,
      next: 1)
    let fake = FakeControl { $0.job = [answer] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("restore", "--to", "/r", "--dry-run", "--home", home)
      #expect(result.code == 0)
      #expect(
        result.text == """
          attic/Photos/a\\n.jpg -> /r/a (12345678).jpg  (from ben)
          would restore 2 files (3.0 kB)

          """)
    }
    #expect(fake.calls[0].hasSuffix("true false"))
  }

  // MARK: Check, at-risk, drill

  @Test(
    arguments: [
      (["safe": 3], 0, "all 3 files are safe on another machine\n"),
      (["safe": 3, "skipped": 1], 0, "1 temporary or system files and links were not looked at"),
      (
        ["safe": 1, "onlyHere": 1, "unknown": 1, "unreadable": 1], 1,
        "1 of 4 files are safe on another machine, 3 not"
      ),
      ([:], 1, "no files\n"), (["skipped": 2], 1, "no files;"),
    ] as [([String: Int], Int32, String)])
  func checkEndsWellOnlyWhenEveryFileIsSafe(counts: [String: Int], code: Int32, text: String) async throws {
    let answer = job("check", counts.mapValues { FileCount(files: $0, bytes: 1) })
    let fake = FakeControl { $0.job = [answer] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("check", "/card", "--home", home)
      #expect(result.code == code && result.text.contains(text), "\(result.text)")
    }
    #expect(fake.calls[0] == "check \(Data("/card".utf8).base64EncodedString())")
  }

  @Test func checkNamesWhatIsNotSafe() async throws {
    let answer = job(
      "check", ["unknown": FileCount(files: 1, bytes: 1)],
      items: [
        JobItem(
          state: "unknown", path: PathText(bytes: [0xFF, 0x2E]), message: "in no library of the household")
      ], next: 1)
    try await withFakeAgent(FakeControl { $0.job = [answer] }) { home in
      let result = await mantel("check", "/card", "--home", home)
      #expect(result.text.hasPrefix("not safe: \\xff.: in no library of the household\n"))
    }
  }

  @Test func nothingAtRiskIsASuccess() async throws {
    let fake = FakeControl {
      $0.atRisk = [
        Page(items: [], next: "p"),
        Page(
          items: [
            Samples.file {
              $0.heldBy = ["attic"]
              $0.copies = 1
            }
          ], next: nil),
      ]
    }
    try await withFakeAgent(fake) { home in
      let result = await mantel("at-risk", "--machine", "attic", "--home", home)
      #expect(result.code == 1 && result.text.hasPrefix("1 of 3   2.1 MB"))
    }
    #expect(fake.calls == ["atRisk attic -", "atRisk attic p"])
    try await withFakeAgent(FakeControl { $0.atRisk = [Page(items: [], next: nil)] }) { home in
      let result = await mantel("at-risk", "--home", home)
      #expect(result.code == 0 && result.output.isEmpty && result.messages == "nothing would be lost\n")
    }
    let pending = FakeControl {
      $0.atRisk = [Page(items: [], next: nil)]
      $0.status.ledger.pending = 3
    }
    try await withFakeAgent(pending) { home in
      let result = await mantel("at-risk", "--home", home)
      #expect(result.code == 1 && result.messages.hasPrefix("3 files pending"))
    }
  }

  @Test(
    arguments: [
      (["right": 9], 0), (["right": 9, "wrong": 1], 1), (["right": 9, "unavailable": 1], 1), ([:], 1),
    ] as [([String: Int], Int32)])
  func aDrillEndsWellOnlyWhenAllCameBack(counts: [String: Int], code: Int32) async throws {
    let answer = job(
      "drill", counts.mapValues { FileCount(files: $0, bytes: 1) },
      items: [JobItem(state: "wrong", machine: "ben", message: "other bytes came back")], next: 1)
    let fake = FakeControl { $0.job = [answer] }
    try await withFakeAgent(fake) { home in
      let result = await mantel("drill", "--photos", "3", "--home", home)
      #expect(result.code == code && result.text == "ben: WRONG: other bytes came back\n")
    }
    #expect(fake.calls[0] == "drill 3")
  }

  @Test(arguments: [["restore", "--to", "/r"], ["check", "/r"], ["at-risk"], ["drill"]])
  func theyNeedTheAgent(arguments: [String]) async throws {
    try await withTemporaryDirectory { home in
      #expect(await mantel(arguments + ["--home", home]).code == 3)
    }
  }

  @Test func progressIsOfTheWholeWhereThatIsKnown() {
    let answer = job("restore", ["restored": Self.size], total: FileCount(files: 1_000, bytes: 9_000_000))
    #expect(JobText.progress(answer, verb: "restoring") == "restoring: 2 of 1,000 files (3.0 kB of 9.0 MB)")
    let unknown = job("check", ["safe": Self.size])
    #expect(JobText.progress(unknown, verb: "checking") == "checking: 2 files (3.0 kB)")
  }
}
