import ArgumentParser
import Logging
@testable import MantelCommands
import MantelControl
import Testing

@Suite struct ParsingTests {
  private func parse<Command>(_ type: Command.Type, _ line: String) throws -> Command {
    let words = line.split(separator: " ").map(String.init)
    return try #require(try MantelCommand.parseAsRoot(words) as? Command)
  }

  @Test func joinTakesEverythingOfItsContract() throws {
    let join = try parse(
      JoinCommand.self,
      "join 1P77-HVFD-R34A-DQZT /a /b --name attic --replica /r --role source --peer h:1 --replaces old --yes --json --home /h"
    )
    #expect(join.code == "1P77-HVFD-R34A-DQZT")
    #expect(join.directories == ["/a", "/b"])
    #expect(join.name == "attic" && join.replica == "/r" && join.role == .source)
    #expect(join.peer == "h:1" && join.replaces == "old")
    #expect(join.consent.yes && join.output.json && join.home.home == "/h")
  }

  @Test func peersWithAndWithoutAVerb() throws {
    #expect(try parse(PeersCommand.Show.self, "peers").name == nil)
    #expect(try parse(PeersCommand.Show.self, "peers laptop --json").name == "laptop")
    #expect(try parse(PeersCommand.Add.self, "peers add h:1").address == "h:1")
    #expect(try parse(PeersCommand.Accept.self, "peers accept laptop --yes").name == "laptop")
    #expect(try parse(PeersCommand.Remove.self, "peers remove laptop --yes").name == "laptop")
  }

  @Test func theOtherCommands() throws {
    #expect(try parse(InitCommand.self, "init /a --name n --replica /r").directories == ["/a"])
    #expect(try parse(InviteCommand.self, "invite").lifetime.seconds == 600)
    #expect(try parse(InviteCommand.self, "invite --for 2h").lifetime.seconds == 7_200)
    let add = try parse(FolderCommand.Add.self, "folder add /a --name n --exclude *.tmp --exclude b")
    #expect(add.exclude == ["*.tmp", "b"])
    #expect(try parse(StatusCommand.self, "status --wait 30").wait == 30)
    #expect(try parse(ListCommand.self, "ls */2024/* --machine attic --retired").retired)
    #expect(try parse(DemoCommand.self, "demo /a --keep").keep)
    let run = try parse(RunCommand.self, "run --listen [::1]:0 --log-level debug --home /h")
    #expect(run.listen?.host == "::1")
  }

  @Test(arguments: [
    ("90", 90), ("90s", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400), ("0", nil), ("-5m", nil),
    ("", nil), ("m", nil), ("1w", nil), ("9223372036854775807h", nil),
  ])
  func times(text: String, seconds: Int?) {
    #expect(TimeOption(argument: text)?.seconds == seconds)
  }

  @Test(
    arguments: [
      ("0", nil, 0), ("62683", nil, 62_683), ("127.0.0.1:1", "127.0.0.1", 1), ("[::1]:2", "::1", 2),
      ("host:3", "host", 3),
    ] as [(String, String?, UInt16)])
  func listening(text: String, host: String?, port: UInt16) throws {
    let option = try #require(ListenOption(argument: text))
    #expect(option.host == host && option.port == port)
  }

  @Test(arguments: ["", "x", "65536", "::1:2", "[]:1", ":1", "host:", "-1"])
  func badListening(text: String) { #expect(ListenOption(argument: text) == nil) }

  @Test func logLevels() throws {
    #expect(try RunCommand.level(nil, environment: [:]) == .notice)
    #expect(try RunCommand.level(nil, environment: ["MANTEL_LOG": "debug"]) == .debug)
    #expect(try RunCommand.level("Trace", environment: ["MANTEL_LOG": "debug"]) == .trace)
    let error = #expect(throws: CommandFailure.self) { try RunCommand.level("loud", environment: [:]) }
    #expect(error?.status == .usage)
  }

  @Test func whereTakesHashesAndFiles() {
    let hash = String(repeating: "Ab", count: 32)
    #expect(WhereCommand.query(hash) == WhereQuery(sha256: hash.lowercased(), fileBase64: nil))
    #expect(WhereCommand.query("/a/../b") == WhereQuery(sha256: nil, fileBase64: "L2I="))
    #expect(WhereCommand.query(String(hash.dropLast())).sha256 == nil)
  }

  @Test func addressesAreTold() {
    #expect(PeerNames.looksLikeAddress("host:62683"))
    #expect(PeerNames.looksLikeAddress("[::1]:1"))
    #expect(!PeerNames.looksLikeAddress("laptop"))
    #expect(!PeerNames.looksLikeAddress("a:b"))
    #expect(!PeerNames.looksLikeAddress(":1"))
  }

  @Test func argumentsKeepTheirBytes() {
    let raw: [[UInt8]] = [Array("mantel".utf8), [47, 255, 97]]
    let text = String(decoding: raw[1], as: UTF8.self)
    #expect(RawArguments.bytes(of: text, among: raw) == raw[1])
    #expect(RawArguments.bytes(of: "other", among: raw) == Array("other".utf8))
  }

  @Test(arguments: [
    ("a", "/home/a"), ("./a/../b//c/.", "/home/b/c"), ("/x/", "/x"), ("../../..", "/"), ("/", "/"),
  ])
  func pathsBecomeAbsolute(path: String, absolute: String) {
    #expect(RawArguments.absolute(Array(path.utf8), from: "/home") == Array(absolute.utf8))
  }
}
