import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// The agent's API from the outside: HTTP/1.1 and JSON over its Unix socket. `curl` speaks it too:
///
///     curl --unix-socket $XDG_RUNTIME_DIR/mantel/agent.sock 'http://localhost/v1/status?wait=30'
///
/// | request | body | answer |
/// |---|---|---|
/// | `GET /v1/status?wait=SECONDS` | | `StatusAnswer`; `wait` may be left out |
/// | `GET /v1/peers?ping=1` | | `PeersAnswer`; with `ping` each connection is measured first |
/// | `POST /v1/peers` | `AddressRequest` | 204: the address is dialled from now on |
/// | `DELETE /v1/peers/NAME` | | `RemovalAnswer`; NAME is a machine, an id's first digits or HOST:PORT |
/// | `POST /v1/peers/NAME/accept` | | `AcceptAnswer`; NAME is a machine, or an id's first digits |
/// | `POST /v1/invite` | `InviteRequest`, or none | `InviteAnswer` |
/// | `GET /v1/folders` | | array of `FolderAnswer` |
/// | `POST /v1/folders` | `FolderRequest` | `FolderAnswer` |
/// | `DELETE /v1/folders/NAME` | | `FolderAnswer` as it was |
/// | `GET /v1/files?pattern=&machine=&retired=true&after=` | | page of `FileAnswer` |
/// | `GET /v1/where?sha256=` or `?fileBase64=` | | `WhereAnswer` |
/// | `GET /v1/skipped?after=` | | page of `SkippedAnswer` |
/// | `GET /v1/sums?machine=&after=` | | page of `SumAnswer` |
/// | `GET /v1/at-risk?machine=&after=` | | page of `FileAnswer`; one may be empty and have a next |
/// | `POST /v1/jobs` | `JobRequest` | `JobStart` |
/// | `GET /v1/jobs/ID?after=&wait=` | | `JobAnswer`: what is new since `after` |
/// | `DELETE /v1/jobs/ID` | | `JobAnswer` as it is left |
/// | `POST /v1/verify` | `VerifyQuery` | `VerifyAnswer`: begun, or how far the one is that runs |
/// | `GET /v1/verify` | | `VerifyAnswer`; a verification that nobody asks about for a minute ends |
/// | `DELETE /v1/verify` | | `VerifyAnswer`: ended |
/// | `GET /v1/verify/bad?after=` | | page of `BadFileAnswer` |
/// | `POST /v1/role` | `RoleQuery` | `RoleAnswer`; with `dryRun` nothing is changed |
/// | `POST /v1/leave` | `LeaveQuery` | `LeaveAnswer`; with `dryRun` nothing is changed |
/// | `GET /v1/release/preview` | | `ReleasePreviewAnswer` |
/// | `POST /v1/release` | | `ReleaseAnswer`: begun, or how far the one is that runs |
/// | `GET /v1/release` | | `ReleaseAnswer`; a release that nobody asks about for a minute ends |
/// | `DELETE /v1/release` | | `ReleaseAnswer`: ended |
/// | `POST /v1/verify/acknowledge` | | 204: healed, lost and orphaned files and forked libraries are not mentioned any more |
///
/// Names and values are percent-encoded. A page's `next` is the `after` of the following one; the last page has none. A
/// failure is a `ControlError` as JSON: usage 400, somebody else's user 403, notFound 404, conflict 409, internalError
/// 500, notRunning 503 (the agent is stopping).
///
/// Every call opens its own connection, so a client costs nothing while nobody uses it and needs no closing.
package struct ControlClient: ControlService {
  package let socket: String

  /// Throws `usage` when the path is longer than a Unix socket's may be.
  package init(socket: String) throws(ControlError) {
    try ControlSocket.check(socket)
    self.socket = socket
  }

  // MARK: Calls

  package func status(wait: Int?) async throws(ControlError) -> StatusAnswer {
    try await answer(
      .GET, ["status"], [("wait", wait.map(String.init))],
      seconds: (wait ?? 0) + ControlLimits.answerSeconds)
  }

  package func peers(isPinging: Bool = false) async throws(ControlError) -> PeersAnswer {
    try await answer(.GET, ["peers"], [("ping", isPinging ? "1" : nil)])
  }

  package func invite(seconds: Int) async throws(ControlError) -> InviteAnswer {
    try await answer(.POST, ["invite"], body: InviteRequest(seconds: seconds))
  }

  package func addPeer(address: String) async throws(ControlError) {
    _ = try await send(.POST, ["peers"], body: AddressRequest(address: address))
  }

  package func removePeer(name: String) async throws(ControlError) -> RemovalAnswer {
    try await answer(.DELETE, ["peers", name])
  }

  package func acceptPeer(name: String) async throws(ControlError) -> AcceptAnswer {
    try await answer(.POST, ["peers", name, "accept"])
  }

  package func folders() async throws(ControlError) -> [FolderAnswer] {
    try await answer(.GET, ["folders"])
  }

  package func addFolder(_ request: FolderRequest) async throws(ControlError) -> FolderAnswer {
    try await answer(.POST, ["folders"], body: request)
  }

  package func removeFolder(name: String) async throws(ControlError) -> FolderAnswer {
    try await answer(.DELETE, ["folders", name])
  }

  package func acceptFolder(name: String) async throws(ControlError) -> AcceptAnswer {
    try await answer(.POST, ["folders", name, "accept"])
  }

  package func files(_ query: FilesQuery) async throws(ControlError) -> Page<FileAnswer> {
    try await answer(
      .GET, ["files"],
      [
        ("pattern", query.pattern), ("machine", query.machine),
        ("retired", query.retired ? "true" : nil), ("after", query.after),
      ])
  }

  package func locate(_ query: WhereQuery) async throws(ControlError) -> WhereAnswer {
    try await answer(
      .GET, ["where"], [("sha256", query.sha256), ("fileBase64", query.fileBase64)],
      seconds: ControlLimits.hashingSeconds)
  }

  package func skipped(after: String?) async throws(ControlError) -> Page<SkippedAnswer> {
    try await answer(.GET, ["skipped"], [("after", after)])
  }

  package func sums(
    machine: String?, after: String?
  ) async throws(ControlError) -> Page<SumAnswer> {
    try await answer(.GET, ["sums"], [("machine", machine), ("after", after)])
  }

  package func atRisk(
    machine: String?, after: String?
  ) async throws(ControlError) -> Page<FileAnswer> {
    try await answer(.GET, ["at-risk"], [("machine", machine), ("after", after)])
  }

  package func startJob(_ request: JobRequest) async throws(ControlError) -> JobStart {
    try await answer(.POST, ["jobs"], body: request)
  }

  package func job(id: String, after: Int, wait: Int) async throws(ControlError) -> JobAnswer {
    try await answer(
      .GET, ["jobs", id], [("after", String(after)), ("wait", String(wait))],
      seconds: wait + ControlLimits.answerSeconds)
  }

  package func cancelJob(id: String) async throws(ControlError) -> JobAnswer {
    try await answer(.DELETE, ["jobs", id])
  }

  package func startVerify(_ query: VerifyQuery) async throws(ControlError) -> VerifyAnswer {
    try await answer(.POST, ["verify"], body: query)
  }

  package func verifyProgress() async throws(ControlError) -> VerifyAnswer {
    try await answer(.GET, ["verify"])
  }

  package func stopVerify() async throws(ControlError) -> VerifyAnswer {
    try await answer(.DELETE, ["verify"])
  }

  package func changeRole(_ query: RoleQuery) async throws(ControlError) -> RoleAnswer {
    try await answer(.POST, ["role"], body: query)
  }

  package func leave(_ query: LeaveQuery) async throws(ControlError) -> LeaveAnswer {
    try await answer(.POST, ["leave"], body: query)
  }

  package func releasePreview() async throws(ControlError) -> ReleasePreviewAnswer {
    try await answer(.GET, ["release", "preview"])
  }

  package func startRelease() async throws(ControlError) -> ReleaseAnswer {
    try await answer(.POST, ["release"])
  }

  package func releaseProgress() async throws(ControlError) -> ReleaseAnswer {
    try await answer(.GET, ["release"])
  }

  package func stopRelease() async throws(ControlError) -> ReleaseAnswer {
    try await answer(.DELETE, ["release"])
  }

  package func forget(_ query: ForgetQuery) async throws(ControlError) -> ForgetAnswer {
    try await answer(.POST, ["forget"], body: query)
  }

  package func forgetRequests() async throws(ControlError) -> [ForgetRequestAnswer] {
    try await answer(.GET, ["forget", "requests"])
  }

  package func decide(_ decision: ForgetDecision) async throws(ControlError) -> AcceptAnswer {
    try await answer(.POST, ["forget", "requests"], body: decision)
  }

  package func drops() async throws(ControlError) -> [DropsAnswer] {
    try await answer(.GET, ["drops"])
  }

  package func decide(_ decision: DropDecision) async throws(ControlError) -> AcceptAnswer {
    try await answer(.POST, ["drops"], body: decision)
  }

  package func badFiles(after: String?) async throws(ControlError) -> Page<BadFileAnswer> {
    try await answer(.GET, ["verify", "bad"], [("after", after)])
  }

  package func acknowledgeBadFiles() async throws(ControlError) {
    _ = try await send(.POST, ["verify", "acknowledge"])
  }

  // MARK: Exchange

  private func answer<Answer: Decodable>(
    _ method: HTTPMethod, _ path: [String], _ query: [(String, String?)] = [],
    body: (any Encodable)? = nil, seconds: Int = ControlLimits.answerSeconds
  ) async throws(ControlError) -> Answer {
    let data = try await send(method, path, query, body: body, seconds: seconds)
    do {
      return try ControlCoding.value(Answer.self, from: data)
    } catch {
      throw ControlError(
        code: .internalError,
        message: "the agent's answer cannot be understood (is it another version?): \(error)")
    }
  }

  private func send(
    _ method: HTTPMethod, _ path: [String], _ query: [(String, String?)] = [],
    body: (any Encodable)? = nil, seconds: Int = ControlLimits.answerSeconds
  ) async throws(ControlError) -> Data {
    var request = HTTPClientRequest(url: url(path, query))
    request.method = method
    do {
      if let body {
        request.body = .bytes(try ControlCoding.data(body))
        request.headers.add(name: "content-type", value: "application/json")
      }
      let finished = request
      let (status, data) = try await HTTPClient.withHTTPClient(configuration: Self.configuration) { client in
        let response = try await client.execute(finished, timeout: .seconds(Int64(seconds)))
        let content = try await response.body.collect(upTo: ControlLimits.answerBytes)
        return (response.status, Data(content.readableBytesView))
      }
      guard (200..<300).contains(status.code) else { throw Self.failure(status, data) }
      return data
    } catch {
      throw failure(error)
    }
  }

  private static var configuration: HTTPClient.Configuration {
    var configuration = HTTPClient.Configuration()
    // Whoever does not answer on a Unix socket at once is not there.
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.redirectConfiguration = .disallow
    return configuration
  }

  private func url(_ path: [String], _ query: [(String, String?)]) -> String {
    let items = query.compactMap { name, value in value.map { "\(name)=\(Self.encoded($0))" } }
    return "http+unix://\(Self.encoded(socket))/v1/\(path.map(Self.encoded).joined(separator: "/"))"
      + (items.isEmpty ? "" : "?" + items.joined(separator: "&"))
  }

  /// Everything but unreserved characters as %XX, so that a name with slashes is one component.
  static func encoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        result.append(byte)
      case UInt8(ascii: ".") where text != "." && text != "..":
        // A component of dots alone would be taken for a directory.
        result.append(byte)
      default: result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  // MARK: Failures

  private static func failure(_ status: HTTPResponseStatus, _ data: Data) -> ControlError {
    if let error = try? ControlCoding.value(ControlError.self, from: data) { return error }
    return ControlError(
      code: .internalError, message: "the agent answered \(status.code) \(status.reasonPhrase)")
  }

  private func failure(_ error: any Error) -> ControlError {
    switch error {
    case let error as ControlError: return error
    case let error as IOError where [ENOENT, ECONNREFUSED, ENOTSOCK].contains(error.errnoCode):
      return .notRunning
    case let error as IOError where [EACCES, EPERM].contains(error.errnoCode):
      return ControlError(
        code: .usage, message: "the agent's socket \(socket) belongs to another user")
    case let error as HTTPClientError where error == .remoteConnectionClosed:
      return ControlError(code: .notRunning, message: "the agent stopped before it answered")
    case let error as HTTPClientError
    where [.deadlineExceeded, .readTimeout, .connectTimeout].contains(error):
      return ControlError(
        code: .internalError, message: "the agent does not answer on \(socket): is it stopped or overloaded?")
    default:
      return ControlError(code: .internalError, message: "no answer from the agent: \(error)")
    }
  }
}

extension ControlError {
  /// What every command says that needs a running agent.
  package static let notRunning = ControlError(
    code: .notRunning,
    message: "the agent is not running: start it with `mantel run`, or for good with `mantel service install`"
  )

  package static func noFolder(_ name: String) -> ControlError {
    ControlError(code: .notFound, message: "no folder is called \(name); `mantel folder list` lists them")
  }
}
