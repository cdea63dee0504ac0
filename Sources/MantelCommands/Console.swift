import Foundation
import Glibc

/// Where a command reads and writes. Data goes to `write`, everything said to people to `say`; tests put their own in
/// `current`'s place.
struct Console: Sendable {
  /// Bytes to standard output.
  var write: @Sendable ([UInt8]) throws -> Void
  /// Bytes to standard error.
  var writeMessage: @Sendable ([UInt8]) -> Void
  /// A line of standard input without its end; nil at its end.
  var readLine: @Sendable () -> String?
  var isInputTerminal: Bool
  var isOutputTerminal: Bool
  var isMessageTerminal: Bool
  var environment: [String: String]

  @TaskLocal static var current = Console.standard

  /// Somebody sits there who can be asked.
  var canAsk: Bool { isInputTerminal && isMessageTerminal }

  func print(_ text: String) throws { try write(Array(text.utf8)) }

  /// A line for people.
  func say(_ line: String) { writeMessage(Array((line + "\n").utf8)) }

  /// The process's own.
  static var standard: Console {
    Console(
      write: { bytes in try Self.writeAll(bytes, to: STDOUT_FILENO) },
      // Nobody is left to be told when standard error fails.
      writeMessage: { bytes in try? Self.writeAll(bytes, to: STDERR_FILENO) },
      readLine: { Swift.readLine() },
      isInputTerminal: isatty(STDIN_FILENO) == 1, isOutputTerminal: isatty(STDOUT_FILENO) == 1,
      isMessageTerminal: isatty(STDERR_FILENO) == 1,
      environment: ProcessInfo.processInfo.environment)
  }

  private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EPIPE {
        throw CommandFailure(.outputClosed, "")
      } else if errno != EINTR {
        throw CommandFailure(
          .internalError, "the output cannot be written: \(String(cString: strerror(errno)))")
      }
    }
  }
}

extension Console {
  /// Asks a question that is answered by y or n; no is what is meant by anything but yes.
  /// Throws `usage` when nobody can be asked and `--yes` was not given.
  func confirm(_ question: String, yes: Bool) throws -> Bool {
    if yes { return true }
    try requireConsent(yes: yes)
    writeMessage(Array("\(question) [y/N] ".utf8))
    return ["y", "yes"].contains(readLine()?.lowercased() ?? "")
  }

  /// Refuses at once, before anything was begun that needs a yes.
  func requireConsent(yes: Bool) throws {
    guard yes || canAsk else {
      throw CommandFailure(
        .usage, "this needs a yes, and there is no terminal to ask on: repeat it with --yes")
    }
  }
}

/// One line that is overwritten, on a terminal only.
enum Progress {
  static func show(_ line: String) {
    guard Console.current.isMessageTerminal else { return }
    Console.current.writeMessage(Array("\r\(line)\u{1b}[K".utf8))
  }

  static func clear() { show("") }
}
