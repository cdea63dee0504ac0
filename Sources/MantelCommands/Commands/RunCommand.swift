import ArgumentParser
import Logging
import MantelAgent
import MantelControl

/// `mantel run`
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run the agent in the foreground; SIGTERM ends it cleanly.")

  @Option(
    help: ArgumentHelp(
      "Where to listen (default: port \(Agent.standardPort), or the next free one).",
      valueName: "[addr:]port"))
  var listen: ListenOption?
  @Option(help: "trace, debug, info, notice, warning, error or critical (else MANTEL_LOG).")
  var logLevel: String?
  @Flag(help: ArgumentHelp("End when standard input does.", visibility: .hidden))
  var stopWithInput = false
  @OptionGroup var home: HomeOptions

  func run() async throws {
    let home = home.value
    try home.requireInitialised()
    try ControlSocket.check(home.socket)
    if stopWithInput { InputWatch.start() }
    try await RunService(
      home: home, listen: listen?.value ?? .standard,
      logger: try Self.logger(level: logLevel, environment: Console.current.environment),
      notification: ServiceNotification(environment: Console.current.environment)
    ).run()
  }

  static func logger(level: String?, environment: [String: String]) throws -> Logger {
    var logger = Logger(label: "mantel") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = try self.level(level, environment: environment)
    return logger
  }

  static func level(_ option: String?, environment: [String: String]) throws -> Logger.Level {
    guard let text = option ?? environment["MANTEL_LOG"], !text.isEmpty else { return .notice }
    guard let level = Logger.Level(rawValue: text.lowercased()) else {
      let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
      throw CommandFailure(.usage, "\(text) is no log level: choose one of \(names)")
    }
    return level
  }
}

/// `PORT`, `ADDR:PORT`, `[V6]:PORT`; port 0 takes any free one.
struct ListenOption: ExpressibleByArgument, Hashable {
  var host: String?
  var port: UInt16

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    guard let last = parts.last, let port = UInt16(last) else { return nil }
    self.port = port
    guard parts.count > 1 else { return }
    var host = parts.dropLast().joined(separator: ":")
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if parts.count > 2 {
      // An IPv6 address without brackets: nobody can tell where it ends.
      return nil
    }
    guard !host.isEmpty else { return nil }
    self.host = host
  }

  var value: Agent.Listen { .exact(host: host, port: port) }
}
