import ArgumentParser
import Foundation
import Glibc
import MantelAgent
import MantelControl

/// The program `mantel` as a function: arguments in, exit code out.
package enum Program {
  package static func main() async -> Never {
    exit(await run(Array(ProcessInfo.processInfo.arguments.dropFirst())))
  }

  /// Runs one command. Failures are told on standard error; the result is an `CommandStatus`.
  package static func run(_ arguments: [String]) async -> Int32 {
    do {
      var command = try await MantelCommand.asyncParseAsRoot(arguments)
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      return CommandStatus.complete.rawValue
    } catch {
      return end(error)
    }
  }

  private static func end(_ error: any Error) -> Int32 {
    switch error {
    case let error as ExitCode: return error.rawValue
    case let error as CommandFailure: return end(error.status, error.message)
    case let error as ControlError: return end(CommandStatus(error), error.message)
    case let error as AgentError: return end(CommandStatus(error), error.message)
    default: return endParsing(error)
    }
  }

  private static func end(_ status: CommandStatus, _ message: String) -> Int32 {
    if !message.isEmpty { Console.current.say("mantel: \(Printable.sentence(message))") }
    return status.rawValue
  }

  /// Help, versions and usage errors of the parser; anything that it does not know is an error of ours.
  private static func endParsing(_ error: any Error) -> Int32 {
    let code = MantelCommand.exitCode(for: error)
    switch code {
    case .success:
      do { try Console.current.print(MantelCommand.fullMessage(for: error) + "\n") } catch {
        return CommandStatus.outputClosed.rawValue
      }
      return code.rawValue
    case .validationFailure:
      Console.current.say(MantelCommand.fullMessage(for: error))
      return CommandStatus.usage.rawValue
    default: return end(.internalError, "\(error)")
    }
  }
}
