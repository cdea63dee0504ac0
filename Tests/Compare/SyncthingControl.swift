import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// Syncthing's REST interface, on a Unix socket: it is on the other side of a network namespace.
struct SyncthingControl: Sendable {
  let socket: String
  private let client = HTTPClient()

  static let key = "comparison"
  static let folder = "work"

  private static let answerBytes = 1 << 20
  private static let patience = TimeAmount.seconds(30)

  init(socket: String) { self.socket = socket }

  /// `GET /rest/db/status`
  struct Status: Decodable {
    var state: String
    var localFiles: Int
    var localBytes: Int
  }

  /// `GET /rest/db/completion`
  struct Completion: Decodable {
    var completion: Double
    var globalBytes: Int
    var needBytes: Int
    var needItems: Int
  }

  func status() async throws -> Status {
    try JSONDecoder().decode(Status.self, from: try await send(.GET, "db/status?folder=\(Self.folder)"))
  }

  func completion() async throws -> Completion {
    try JSONDecoder().decode(
      Completion.self, from: try await send(.GET, "db/completion?folder=\(Self.folder)"))
  }

  /// False too while it does not answer yet.
  func isConnected(to device: String) async throws -> Bool {
    guard FileManager.default.fileExists(atPath: socket) else { return false }
    struct Connections: Decodable {
      struct Connection: Decodable { var connected: Bool }
      var connections: [String: Connection]
    }
    do {
      let answer = try await send(.GET, "system/connections")
      return try JSONDecoder().decode(Connections.self, from: answer).connections[device]?.connected == true
    } catch is IOError {
      return false
    }
  }

  /// Ends the pause of the folder, which starts with a scan.
  func resume() async throws {
    _ = try await send(.PATCH, "config/folders/\(Self.folder)", body: #"{"paused": false}"#)
  }

  func close() async throws { try await client.shutdown() }

  private func send(_ method: HTTPMethod, _ path: String, body: String? = nil) async throws -> Data {
    let escaped = socket.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? socket
    var request = HTTPClientRequest(url: "http+unix://\(escaped)/rest/\(path)")
    request.method = method
    request.headers.add(name: "X-API-Key", value: Self.key)
    request.headers.replaceOrAdd(name: "Host", value: "localhost")
    if let body { request.body = .bytes(ByteBuffer(string: body)) }
    let response = try await client.execute(request, timeout: Self.patience)
    let content = try await response.body.collect(upTo: Self.answerBytes)
    guard response.status == .ok else {
      throw CompareError("Syncthing, \(path): \(response.status) \(String(buffer: content))")
    }
    return Data(content.readableBytesView)
  }
}
