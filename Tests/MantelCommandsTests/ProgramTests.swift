import Foundation
import MantelAgent
@testable import MantelCommands
import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct ProgramTests {
  // MARK: With an agent

  @Test(
    arguments: [("complete", true, 0), ("copying", false, 1), ("attention", false, 2)]
      as [(String, Bool, Int32)])
  func statusEndsWithItsState(state: String, complete: Bool, code: Int32) async throws {
    let fake = FakeControl {
      $0.status.state = state
      $0.status.complete = complete
    }
    try await withFakeAgent(fake) { home in
      let result = await mantel("status", "--home", home)
      #expect(result.code == code)
      #expect(result.text.hasPrefix(state + "\n"))
      let json = await mantel("status", "--json", environment: ["MANTEL_HOME": home])
      #expect(json.code == code)
      let answer = try ControlCoding.value(StatusAnswer.self, from: Data(json.output))
      #expect(answer == fake.answers.status)
    }
  }

  @Test func waitingNeedsProof() async throws {
    let fake = FakeControl { $0.status.settled = false }
    try await withFakeAgent(fake) { home in
      #expect(await mantel("status", "--home", home, "--wait", "7").code == 1)
    }
    #expect(fake.calls == ["status 7"])
  }

  @Test func listingsFollowTheirPages() async throws {
    let fake = FakeControl {
      $0.sums = [
        Page(items: [Samples.sum("/r/a"), Samples.sum("/r/b\n")], next: "1"),
        Page(items: [], next: "2"), Page(items: [Samples.sum("/r/c")], next: nil),
      ]
    }
    try await withFakeAgent(fake) { home in
      let result = await mantel("sums", "--machine", "laptop", "--home", home)
      let sum = Samples.sha256
      #expect(result.code == 0)
      #expect(result.text == "\(sum)  /r/a\n\\\(sum)  /r/b\\n\n\(sum)  /r/c\n")
    }
    #expect(fake.calls == ["sums laptop -", "sums laptop 1", "sums laptop 2"])
  }

  @Test func jsonListingsAreALineEach() async throws {
    try await withFakeAgent(FakeControl()) { home in
      let result = await mantel("ls", "--json", "--home", home)
      #expect(result.text.split(separator: "\n").count == 1)
      let file = try ControlCoding.value(FileAnswer.self, from: Data(result.text.utf8.dropLast()))
      #expect(file == Samples.file())
    }
  }

  @Test func theCodeIsTheOnlyDataOfAnInvite() async throws {
    try await withFakeAgent(FakeControl()) { home in
      let result = await mantel("invite", "--for", "90s", "--home", home)
      #expect(result.text == "1P77-HVFD-R34A-DQZT\n")
      #expect(result.messages.contains("--peer 192.0.2.2:62683"))
    }
  }

  @Test func theAgentsErrorsHaveTheirCodes() async throws {
    for (code, status) in [
      (ControlError.Code.usage, CommandStatus.usage), (.notFound, .usage), (.conflict, .usage),
      (.internalError, .internalError),
    ] {
      let fake = FakeControl { $0.error = ControlError(code: code, message: "no\u{1b}pe") }
      try await withFakeAgent(fake) { home in
        let result = await mantel("folder", "add", "/photos", "--home", home)
        #expect(result.code == status.rawValue)
        #expect(result.output.isEmpty)
        #expect(result.messages == "mantel: no\\x1bpe\n")
      }
    }
  }

  @Test func removingAMachineAsksFirst() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      let unasked = await mantel("peers", "remove", "laptop", "--home", home)
      #expect(unasked.code == 64)
      #expect(await mantel("peers", "remove", "laptop", "--home", home, answer: "n").code == 1)
      #expect(fake.calls.isEmpty)
      let result = await mantel("peers", "remove", "laptop", "--home", home, answer: "y")
      #expect(result.code == 0)
      #expect(result.messages.contains("it had admitted studio"))
      #expect(await mantel("peers", "remove", "h:1", "--home", home).code == 0)
      #expect(await mantel("peers", "remove", "laptop", "--yes", "--home", home).code == 0)
    }
    #expect(fake.calls == ["removePeer laptop", "removePeer h:1", "removePeer laptop"])
  }

  @Test func acceptingAMassChangeAsksFirst() async throws {
    let fake = FakeControl { $0.folder.held = 120 }
    let name = fake.answers.folder.name
    try await withFakeAgent(fake) { home in
      #expect(await mantel("folder", "accept", name, "--home", home).code == 64)
      #expect(await mantel("folder", "accept", name, "--home", home, answer: "n").code == 1)
      #expect(await mantel("folder", "accept", "nothing", "--yes", "--home", home).code == 64)
      #expect(!fake.calls.contains { $0.hasPrefix("accept") })
      let result = await mantel("folder", "accept", name, "--home", home, answer: "y")
      #expect(result.code == 0 && result.text == "accepted 120 files of Photos\n")
      let json = await mantel("folder", "accept", name, "--yes", "--json", "--home", home)
      let answer = try ControlCoding.value(AcceptAnswer.self, from: Data(json.output))
      #expect(answer == fake.answers.acceptance)
    }
    #expect(fake.calls.filter { $0.hasPrefix("accept") }.count == 2)
  }

  @Test func whereNothingIsHeldThereIsNothingToAsk() async throws {
    let fake = FakeControl { $0.acceptance.accepted = 0 }
    try await withFakeAgent(fake) { home in
      let result = await mantel("folder", "accept", fake.answers.folder.name, "--home", home)
      #expect(result.code == 0 && result.text == "accepted 0 files of Photos\n")
    }
  }

  // MARK: Without an agent

  @Test(arguments: [
    ["invite"], ["peers"], ["ls"], ["skipped"], ["sums"], ["where", "/a"], ["status", "--wait", "1"],
  ])
  func whatNeedsTheAgentEndsWith3(arguments: [String]) async throws {
    try await withTemporaryDirectory { home in
      let result = await mantel(arguments + ["--home", home])
      #expect(result.code == 3)
      #expect(result.messages.hasPrefix("mantel: no agent is running"))
    }
  }

  @Test func withoutAHouseholdEverythingNamesBothWaysOn() async throws {
    try await withTemporaryDirectory { home in
      for (line, code) in [
        (["run"], 64), (["folder", "list"], 64), (["folder", "add", home], 64),
        (["peers", "add", "h:1"], 64), (["status"], 3), (["peers"], 3),
      ] as [([String], Int32)] {
        let result = await mantel(line + ["--home", home])
        #expect(result.code == code, "\(line)")
        #expect(result.messages.contains("`mantel init [DIR...]`"), "\(line)")
        #expect(result.messages.contains("`mantel join CODE`"), "\(line)")
      }
      let off = await mantel(["status", "--json", "--home", home])
      #expect(off.text == "{\n  \"complete\" : false,\n  \"state\" : \"off\"\n}\n")
    }
  }

  @Test func joiningIsNotBegunWhereNobodyCanSayYes() async throws {
    try await withTemporaryDirectory { home in
      let result = await mantel("join", "1P77-HVFD-R34A-DQZT", "--peer", "127.0.0.1:1", "--home", home)
      #expect(result.code == 64)
      #expect(result.messages.contains("--yes"))
      let left = try FileManager.default.contentsOfDirectory(atPath: home)
      #expect(left.isEmpty)
    }
  }

  @Test(arguments: [
    ["status", "--bogus"], ["nonsense"], ["join"], ["status", "--watch", "--wait", "1"],
    ["status", "--wait", "-1"], ["invite", "--for", "soon"], ["run", "--listen", "::1:2"],
    ["join", "X", "--role", "boss"],
  ])
  func wrongCommandLinesEndWith64(arguments: [String]) async {
    let result = await mantel(arguments)
    #expect(result.code == 64)
    #expect(result.output.isEmpty)
    #expect(!result.messages.isEmpty)
  }

  @Test func helpAndVersionAreData() async {
    let help = await mantel("--help")
    #expect(help.code == 0 && help.text.contains("sha256sum") && help.messages.isEmpty)
    #expect(await mantel("version").text == "mantel \(MantelVersion.text)\n")
    #expect(await mantel("--version").text == "mantel \(MantelVersion.text)\n")
    #expect(await mantel("folder").code == 0)
  }

  /// One run through what works without an agent, on a real catalog.
  @Test func foldersAndAddressesChangeWithoutAnAgent() async throws {
    try await withTemporaryDirectory { directory in
      let (home, photos, more) = (directory + "/h", directory + "/photos", directory + "/more/photos")
      for path in [photos, more + "/below"] {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      }
      let founded = await mantel("init", photos, "--name", "attic", "--home", home, "--json")
      #expect(founded.code == 0)
      let setup = try ControlCoding.value(SetupAnswer.self, from: Data(founded.output))
      #expect(setup.machine.name == "attic" && setup.members == ["attic"])
      #expect(
        setup.folders == [
          SetupAnswer.Directory(name: "photos", directory: PathText(path: photos, pathBase64: nil))
        ])
      #expect(await mantel("init", "--home", home).code == 64)

      let added = await mantel("folder", "add", more, "--exclude", "*.tmp", "--home", home)
      #expect(added.code == 0 && added.text.hasPrefix("added photos-2 "))
      for (path, other) in [(more + "/below", "photos-2"), (directory, "photos")] {
        let refused = await mantel("folder", "add", path, "--home", home)
        #expect(
          refused.code == 64 && refused.messages.contains("overlaps the folder \(other) ("), "\(refused)")
      }
      #expect(
        await mantel("folder", "accept", "photos", "--home", home).text == "accepted 0 files of photos\n")
      #expect(await mantel("folder", "accept", "nothing", "--home", home).code == 64)
      #expect(await mantel("folder", "remove", "photos", "--home", home).code == 0)
      #expect(await mantel("folder", "remove", "photos", "--home", home).code == 64)
      let list = await mantel("folder", "list", "--json", "--home", home)
      let folders = try ControlCoding.value([FolderAnswer].self, from: Data(list.output))
      #expect(folders.map(\.name) == ["photos-2"] && folders.map(\.excludes) == [["*.tmp"]])
      #expect(folders.map(\.state) == ["stopped"])

      #expect(await mantel("peers", "add", "nonsense", "--home", home).code == 64)
      #expect(await mantel("peers", "add", "192.0.2.1:62683", "--home", home).code == 0)
      #expect(await mantel("peers", "remove", "192.0.2.1:62683", "--home", home).code == 0)
      #expect(await mantel("peers", "remove", "192.0.2.1:62683", "--home", home).code == 64)
      #expect(await mantel("peers", "remove", "nobody", "--yes", "--home", home).code == 64)
      #expect(await mantel("peers", "remove", "attic", "--yes", "--home", home).code == 64)
      #expect(await mantel("invite", "--home", home).code == 3)
    }
  }

  /// A failed attempt takes back what it made, and nothing else.
  @Test func whatFailsToFoundLeavesNothingBehind() async throws {
    try await withTemporaryDirectory { directory in
      let home = directory + "/h"
      let failed = await mantel("init", directory + "/none", "--home", home)
      #expect(failed.code == 64 && failed.messages.contains("/none"))
      let left = try FileManager.default.contentsOfDirectory(atPath: home + "/state")
      #expect(left == ["lock"])
      #expect(await mantel("init", "--name", "attic", "--home", home).code == 0)
      let mode = try FileManager.default.attributesOfItem(atPath: home)[.posixPermissions] as? Int
      #expect(mode == 0o700)
    }
  }

  /// The catalog of a member whose key is lost is worth everything: nothing removes it.
  @Test func aCatalogWithoutItsKeyIsLeftAlone() async throws {
    try await withTemporaryDirectory { directory in
      #expect(await mantel("init", "--name", "attic", "--home", directory).code == 0)
      let home = Home(directory: directory)
      let catalog = try Data(contentsOf: URL(filePath: home.catalogPath))
      try FileManager.default.removeItem(atPath: home.keyPath)
      for command in [["init", "--home", directory], ["run", "--home", directory]] {
        let refused = await mantel(command)
        #expect(refused.code == 64 && refused.messages.contains("device.key"), "\(refused)")
      }
      #expect(try Data(contentsOf: URL(filePath: home.catalogPath)) == catalog)
      #expect(!FileManager.default.fileExists(atPath: home.keyPath))
    }
  }

  /// A key alone may be the last trace of a member: it is kept under another name.
  @Test func aKeyWithoutACatalogIsSetAside() async throws {
    try await withTemporaryDirectory { directory in
      #expect(await mantel("init", "--name", "attic", "--home", directory).code == 0)
      let home = Home(directory: directory)
      let key = try Data(contentsOf: URL(filePath: home.keyPath))
      for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: home.catalogPath + suffix)
      }
      #expect(
        await mantel("init", "--name", "attic", "--home", directory, "--replica", directory + "/R").code == 0)
      let kept = try FileManager.default.contentsOfDirectory(atPath: home.state).filter {
        $0.hasPrefix("device.key.before-")
      }
      #expect(kept.count == 1)
      #expect(try Data(contentsOf: URL(filePath: "\(home.state)/\(kept[0])")) == key)
    }
  }

  @Test func everyCommandTakesAHome() async {
    for command in [
      ["version"], ["service", "status"], ["service", "remove"], ["status"], ["ls"], ["demo"],
    ] {
      #expect(await mantel(command + ["--help"]).text.contains("--home"), "\(command)")
      #expect(await mantel(command + ["--home", ""]).code == 64, "\(command)")
    }
  }

  @Test func aLockedStateIsTriedAgainLater() async throws {
    try await withTemporaryDirectory { directory in
      #expect(await mantel("init", "--name", "attic", "--home", directory).code == 0)
      let lock = try StateLock(Home(directory: directory))
      #expect(await mantel("folder", "list", "--home", directory).code == 1)
      withExtendedLifetime(lock) {}
    }
  }
}
