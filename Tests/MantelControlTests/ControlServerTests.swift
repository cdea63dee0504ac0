import Foundation
import MantelControl
import MantelControlTestSupport
@testable import MantelGallery
import Testing

@Suite struct ControlServerTests {
  private func get(_ path: String, at socket: String) async throws -> String {
    try await exchange("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", at: socket)
  }

  @Test func speaksPlainHTTPWithSortedKeys() async throws {
    try await withFakeAgent(FakeControl()) { home in
      let answer = try await get("/v1/folders", at: home + "/agent.sock")
      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(answer.contains("Content-Type: application/json\r\n"))
      #expect(
        answer.hasSuffix(
          #"[{"directory":{"path":"/home/anna/Photos"},"excludes":["*.tmp"],"held":0,"id":"\#(String(repeating: "d", count: 32))","ledger":{"pending":1,"safe":3,"seen":5,"skipped":1},"name":"Photos","state":"watched"}]"#
            + "\n"))
    }
  }

  @Test(arguments: [
    ("/v1/nothing", "404", "notFound"), ("/", "404", "notFound"),
    ("/v1/status?wait=x", "400", "usage"), ("/v1/status?wait=-1", "400", "usage"),
    ("/v1/status?wait=86401", "400", "usage"), ("/v1/jobs/1?after=-1", "400", "usage"),
    ("/v1/jobs/1?wait=31", "400", "usage"),
  ])
  func badRequestsAreErrorsInJSON(path: String, status: String, code: String) async throws {
    try await withFakeAgent(FakeControl()) { home in
      let answer = try await get(path, at: home + "/agent.sock")
      #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
      #expect(answer.contains(#"{"code":"\#(code)","message":"#))
    }
  }

  @Test(arguments: ["", "{", #"{"directory":"/a"}"#])
  func badBodiesAreUsageErrors(body: String) async throws {
    try await withFakeAgent(FakeControl()) { home in
      let answer = try await exchange(
        "POST /v1/folders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
          + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)", at: home + "/agent.sock")
      #expect(answer.hasPrefix("HTTP/1.1 400 "))
      #expect(answer.contains(#""code":"usage""#))
    }
  }

  @Test func anInviteNeedsNoBody() async throws {
    let fake = FakeControl()
    try await withFakeAgent(fake) { home in
      let answer = try await exchange(
        "POST /v1/invite HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        at: home + "/agent.sock")
      #expect(answer.hasPrefix("HTTP/1.1 200 "))
    }
    #expect(fake.calls == ["invite 600"])
  }

  @Test func theSocketIsItsOwnersAndGoesWithTheServer() async throws {
    try await withTemporaryDirectory { directory in
      let path = directory + "/deeper/agent.sock"
      try await withServer(FakeControl(), at: path) {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let parent = try FileManager.default.attributesOfItem(atPath: directory + "/deeper")
        #expect(parent[.posixPermissions] as? Int == 0o700)
      }
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }

  @Test func aStaleSocketIsReplaced() async throws {
    try await withTemporaryDirectory { directory in
      let path = directory + "/agent.sock"
      try leaveSocketBehind(at: path)
      try await withServer(FakeControl(), at: path) {
        _ = try await ControlClient(socket: path).status(wait: nil)
      }
    }
  }

  @Test func anAnsweredSocketIsLeftAlone() async throws {
    let first = FakeControl()
    try await withFakeAgent(first) { home in
      let path = home + "/agent.sock"
      let error = await #expect(throws: ControlError.self) {
        try await withServer(FakeControl(), at: path) {}
      }
      #expect(error?.code == .conflict)
      _ = try await ControlClient(socket: path).peers()
    }
    #expect(first.calls == ["peers"])
  }

  @Test func aFileInTheWayIsLeftAlone() async throws {
    try await withTemporaryDirectory { directory in
      let path = directory + "/agent.sock"
      try Data("mine".utf8).write(to: URL(fileURLWithPath: path))
      let error = await #expect(throws: ControlError.self) {
        try await withServer(FakeControl(), at: path) {}
      }
      #expect(error?.code == .conflict)
      #expect(FileManager.default.contents(atPath: path) == Data("mine".utf8))
    }
  }

  @Test func whoeverWaitsIsAnsweredWhenTheAgentStops() async throws {
    let fake = FakeControl { $0.waitsForever = true }
    let answer = try await withTemporaryDirectory { directory in
      let path = directory + "/agent.sock"
      let waiting = try await withServer(fake, at: path) {
        let client = try ControlClient(socket: path)
        let waiting = Task { try await client.status(wait: 600) }
        while fake.calls.isEmpty { await Task.yield() }
        return waiting
      }
      return try await waiting.value
    }
    #expect(answer == fake.answers.status)
  }

  @Test func onlyTheOwnUserAndRootGetIn() {
    #expect(PeerCredentials.isAllowed(user: 1_000, agent: 1_000))
    #expect(PeerCredentials.isAllowed(user: 0, agent: 1_000))
    #expect(!PeerCredentials.isAllowed(user: 1_001, agent: 1_000))
    #expect(!PeerCredentials.isAllowed(user: 1_000, agent: 0))
    #expect(!PeerCredentials.isAllowed(user: .max, agent: 1_000))
  }
}
