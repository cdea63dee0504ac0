import Foundation
import MantelCore
import MantelHousehold
import Testing

/// A client that resumes its sessions, which NIOSSL's does not: `openssl s_client`, with the key of a machine.
final class ResumingClient: Sendable {
  /// Nil where it is not installed.
  static let program: String? = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  struct Connection {
    /// By a ticket of an earlier one, instead of a handshake with certificates.
    var isResumed: Bool
    /// Bytes came that were waited for.
    var wasAnswered: Bool
    /// All that the program printed.
    var text: String
  }

  let key: DeviceKey
  private let directory: String
  private var keyPath: String { "\(directory)/device.key" }
  /// The last ticket that came.
  private var ticketPath: String { "\(directory)/ticket" }
  private var outputPath: String { "\(directory)/output" }

  init() throws {
    var template = Array("\(FileManager.default.temporaryDirectory.path)/mantel-tickets-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    self.directory = directory
    key = try DeviceKey.create(at: "\(directory)/device.key")
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: directory) } catch { Issue.record(error) }
  }

  var hasTicket: Bool { FileManager.default.fileExists(atPath: ticketPath) }

  /// Connects with the last ticket, if there is one, until these bytes have come or the other side hangs up. A server sends its
  /// tickets before its first bytes.
  func connect(to address: NetworkAddress, until awaited: [UInt8]) async throws -> Connection {
    let (process, input) = (Process(), Pipe())
    // It hangs up at the end of its input, so no other child may hold that.
    _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
    let program = try #require(Self.program)
    process.executableURL = URL(filePath: program)
    process.arguments =
      ["s_client", "-connect", "\(address.host):\(address.port)", "-alpn", "mantel/1", "-tls1_3"]
      + ["-cert", keyPath, "-key", keyPath, "-sess_out", ticketPath]
      + (hasTicket ? ["-sess_in", ticketPath] : [])
    try Data().write(to: URL(filePath: outputPath))
    process.standardInput = input
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: outputPath))
    process.standardError = FileHandle.nullDevice
    try process.run()
    await eventually { !process.isRunning || output.range(of: Data(awaited)) != nil }
    try input.fileHandleForWriting.close()
    await eventually { !process.isRunning }
    let text = String(decoding: output, as: UTF8.self)
    return Connection(
      isResumed: text.contains("Reused, TLSv1.3"), wasAnswered: output.range(of: Data(awaited)) != nil,
      text: text)
  }

  private var output: Data { FileManager.default.contents(atPath: outputPath) ?? Data() }
}
