import Foundation

/// The unit file of this user, and the `systemctl` that knows it.
struct UserService: Sendable {
  static let unit = "mantel.service"

  let path: String
  /// Nil where there is no systemd.
  let systemctl: SystemControl?

  init(environment: [String: String]) throws {
    let configuration =
      environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
      ?? (environment["HOME"] ?? NSHomeDirectory()) + "/.config"
    path = "\(configuration)/systemd/user/\(Self.unit)"
    systemctl = SystemControl(searchPath: environment["PATH"] ?? "/usr/bin:/bin")
  }

  var isInstalled: Bool { FileManager.default.fileExists(atPath: path) }

  func write(_ text: String) throws {
    let directory = (path as NSString).deletingLastPathComponent
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw CommandFailure(.internalError, "\(path) cannot be written: \(error.localizedDescription)")
    }
  }

  func remove() throws {
    do { try FileManager.default.removeItem(atPath: path) } catch {
      throw CommandFailure(.internalError, "\(path) cannot be removed: \(error.localizedDescription)")
    }
  }
}

/// `systemctl --user`
struct SystemControl: Sendable {
  private let executable: String

  /// Nil when it is in no directory of the search path.
  init?(searchPath: String) {
    let candidates = searchPath.split(separator: ":").map { "\($0)/systemctl" }
    guard let found = candidates.first(where: FileManager.default.isExecutableFile(atPath:)) else {
      return nil
    }
    executable = found
  }

  /// Whether it ended well. What it complains of goes to standard error.
  func run(_ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = ["--user"] + arguments
    process.standardOutput = FileHandle.nullDevice
    do { try process.run() } catch { return false }
    process.waitUntilExit()
    return process.terminationReason == .exit && process.terminationStatus == 0
  }
}
