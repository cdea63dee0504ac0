import MantelControl
import MantelControlTestSupport
import Testing

@Suite struct ControlClientTests {
  @Test func everyCallArrivesAndItsAnswerComesBack() async throws {
    let fake = FakeControl()
    let name = "Fotos 1/2 100% ü?&#+"
    try await withFakeAgent(fake) { home in
      let client = try ControlClient(socket: home + "/agent.sock")
      #expect(try await client.status(wait: nil) == fake.answers.status)
      #expect(try await client.status(wait: 5) == fake.answers.status)
      #expect(try await client.peers() == fake.answers.peers)
      #expect(try await client.peers(isPinging: true) == fake.answers.peers)
      #expect(try await client.invite(seconds: 90) == fake.answers.invite)
      try await client.addPeer(address: "[fd00::2]:62683")
      #expect(try await client.removePeer(name: name) == fake.answers.removal)
      #expect(try await client.acceptPeer(name: name) == fake.answers.acceptance)
      #expect(try await client.folders() == [fake.answers.folder])
      let request = FolderRequest(directoryBase64: "L2E=", name: name, excludes: ["*.tmp", "b/**"])
      #expect(try await client.addFolder(request) == fake.answers.folder)
      #expect(try await client.removeFolder(name: "..") == fake.answers.folder)
      #expect(try await client.acceptFolder(name: name) == fake.answers.acceptance)
      let query = FilesQuery(pattern: "*/\(name)", machine: "attic", retired: true, after: "x=/y")
      #expect(try await client.files(query).items.isEmpty)
      let whereabouts = WhereQuery(sha256: nil, fileBase64: "L2E+Yi8=")
      #expect(try await client.locate(whereabouts) == fake.answers.whereabouts)
      #expect(try await client.skipped(after: nil).items == fake.answers.skipped[0].items)
      #expect(try await client.sums(machine: nil, after: nil).items == fake.answers.sums[0].items)
      #expect(try await client.atRisk(machine: name, after: "a.b").items.isEmpty)
      let restore = RestoreRequest(
        pattern: "*/\(name)", machine: nil, directoryBase64: "L2E=", retired: false, asOf: Samples.now,
        dryRun: true, mayWriteIntoFolder: false)
      #expect(try await client.startJob(JobRequest(restore: restore)) == JobStart(id: "7", question: nil))
      let check = JobRequest.Check(directoryBase64: "L2E=")
      #expect(try await client.startJob(JobRequest(check: check)).id == "7")
      #expect(try await client.job(id: "7", after: 3, wait: 1) == fake.answers.job[0])
      #expect(try await client.cancelJob(id: "..") == fake.answers.job[0])
      #expect(try await client.changeRole(RoleQuery(role: "source", dryRun: true)).dryRun)
      #expect(try await client.leave(LeaveQuery(dryRun: false)) == fake.answers.leave)
      #expect(try await client.releasePreview() == fake.answers.releasePreview)
      #expect(try await client.startRelease() == fake.answers.release[0])
      #expect(try await client.releaseProgress() == fake.answers.release[0])
      #expect(try await client.stopRelease() == fake.answers.release[0])
    }
    #expect(
      fake.calls == [
        "status -", "status 5", "peers", "peers ping", "invite 90", "addPeer [fd00::2]:62683",
        "removePeer \(name)", "acceptPeer \(name)",
        "folders", #"addFolder L2E= \#(name) ["*.tmp", "b/**"]"#, "removeFolder ..",
        "acceptFolder \(name)",
        "files */\(name) attic true x=/y", "locate - L2E+Yi8=", "skipped -", "sums - -", "atRisk \(name) a.b",
        "restore */\(name) - L2E= false \(Samples.now) true false", "check L2E=", "job 7 3", "cancelJob ..",
        "role source dry",
        "leave -", "releasePreview", "startRelease", "releaseProgress", "stopRelease",
      ])
  }

  @Test(arguments: [
    ControlError.Code.notRunning, .usage, .notFound, .conflict, .internalError,
  ])
  func errorsComeBackAsTheyWereThrown(code: ControlError.Code) async throws {
    let error = ControlError(code: code, message: "what happened, and \"what\" to do")
    try await withFakeAgent(FakeControl { $0.error = error }) { home in
      let client = try ControlClient(socket: home + "/agent.sock")
      await #expect(throws: error) { try await client.peers() }
      await #expect(throws: error) { try await client.addPeer(address: "a:1") }
      await #expect(throws: error) { try await client.removeFolder(name: "x") }
    }
  }

  @Test func withoutASocketTheAgentIsNotRunning() async throws {
    try await withTemporaryDirectory { directory in
      let client = try ControlClient(socket: directory + "/agent.sock")
      await #expect(throws: ControlError.notRunning) { try await client.status(wait: nil) }
    }
  }

  @Test func aSocketThatNobodyAnswersOnMeansNotRunning() async throws {
    try await withTemporaryDirectory { directory in
      let path = directory + "/agent.sock"
      try leaveSocketBehind(at: path)
      let client = try ControlClient(socket: path)
      await #expect(throws: ControlError.notRunning) { try await client.status(wait: nil) }
    }
  }

  @Test func tooLongASocketPathSaysWhatToDo() throws {
    let longest = "/" + String(repeating: "x", count: 106)
    _ = try ControlClient(socket: longest)
    let error = try #require(throws: ControlError.self) { try ControlClient(socket: longest + "x") }
    #expect(error.code == .usage)
    #expect(error.message.contains("shorter --home"))
  }

  @Test func pathsKeepTheirBytes() {
    let bytes: [UInt8] = [47, 255, 10, 97]
    let text = PathText(bytes: bytes)
    #expect(text.bytes == bytes)
    #expect(text.pathBase64 == "L/8KYQ==")
    #expect(PathText(bytes: Array("/ü".utf8)) == PathText(path: "/ü", pathBase64: nil))
  }
}
