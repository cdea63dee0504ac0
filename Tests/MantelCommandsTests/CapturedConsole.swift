@testable import MantelCommands
import Synchronization

/// What a command printed and said, and how it ended.
struct CommandResult: Sendable {
  var code: Int32
  var output: [UInt8]
  var messages: String

  var text: String { String(decoding: output, as: UTF8.self) }
}

/// Runs a command line as the program would. `answer`: what the terminal types; nil: there is none.
func mantel(
  _ arguments: String..., answer: String? = nil, environment: [String: String] = [:]
) async -> CommandResult {
  await mantel(arguments, answer: answer, environment: environment)
}

func mantel(
  _ arguments: [String], answer: String? = nil, environment: [String: String] = [:]
) async -> CommandResult {
  let captured = Captured()
  let console = Console(
    write: { bytes in captured.output.withLock { $0 += bytes } },
    writeMessage: { bytes in captured.messages.withLock { $0 += bytes } },
    readLine: { answer }, isInputTerminal: answer != nil, isOutputTerminal: false,
    isMessageTerminal: answer != nil, environment: environment)
  let code = await Console.$current.withValue(console) { await Program.run(arguments) }
  return CommandResult(
    code: code, output: captured.output.withLock { $0 },
    messages: String(decoding: captured.messages.withLock { $0 }, as: UTF8.self))
}

private final class Captured: Sendable {
  let output = Mutex<[UInt8]>([])
  let messages = Mutex<[UInt8]>([])
}
