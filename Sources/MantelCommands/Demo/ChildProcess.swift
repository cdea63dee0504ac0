import Foundation
import Glibc
import Synchronization

/// A child that cannot outlive this process: its standard input is a pipe that ends with us, and it is told to end then.
final class ChildProcess: Sendable {
  let identifier: pid_t
  /// Our end of its standard input.
  private let input: Int32
  /// How it ended; nil while it runs. A child is reaped once: its number may be somebody else's afterwards.
  private let status = Mutex<Int32?>(nil)

  private static let pollInterval: Duration = .milliseconds(20)

  /// Standard output is dropped, standard error goes to the end of the file `log`.
  init(
    executable: String, arguments: [String], environment: [String: String], log: String
  ) throws {
    var pipe: [Int32] = [-1, -1]
    try Self.check(Glibc.pipe(&pipe) == 0 ? 0 : errno, "a pipe")
    for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(pipe[0]) }
    do {
      identifier = try Self.spawn(
        executable, [executable] + arguments, environment, input: pipe[0], log: log)
    } catch {
      close(pipe[1])
      throw error
    }
    input = pipe[1]
  }

  private static func spawn(
    _ executable: String, _ arguments: [String], _ environment: [String: String], input: Int32,
    log: String
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    try check(posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO), "standard input")
    try check(
      posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0),
      "standard output")
    try check(
      posix_spawn_file_actions_addopen(
        &actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600), log)
    // A group of its own: an interrupt at the terminal is for us, who end it in order. Signals that we ignore it shall not.
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGPIPE] { sigaddset(&signals, signal) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF))
    let values = arguments.map { strdup($0) } + [nil]
    let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { (values + variables).forEach { free($0) } }
    var identifier: pid_t = 0
    try check(
      posix_spawn(&identifier, executable, &actions, &attributes, values, variables), executable)
    return identifier
  }

  private static func check(_ code: Int32, _ what: String) throws {
    guard code == 0 else {
      throw CommandFailure(.internalError, "\(what): \(String(cString: strerror(code)))")
    }
  }

  var hasEnded: Bool {
    status.withLock { status in
      if status != nil { return true }
      var code: Int32 = 0
      guard waitpid(identifier, &code, WNOHANG) == identifier else { return false }
      status = code
      return true
    }
  }

  func signal(_ number: Int32) {
    status.withLock { status in
      if status == nil { _ = kill(identifier, number) }
    }
  }

  /// SIGTERM, and SIGKILL for one that has not ended by then. Returns once it is gone, whatever happens to the caller's task.
  func end(patience: Duration) {
    signal(SIGTERM)
    let clock = ContinuousClock()
    let deadline = clock.now + patience
    while !hasEnded, clock.now < deadline { usleep(Self.pollMicroseconds) }
    signal(SIGKILL)
    while !hasEnded { usleep(Self.pollMicroseconds) }
  }

  private static var pollMicroseconds: UInt32 { UInt32(pollInterval / .microseconds(1)) }

  deinit { close(input) }
}
