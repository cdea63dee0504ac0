/// Why the agent, or a command in its place, cannot go on; the message says what to do next.
package struct AgentError: Error, Sendable, CustomStringConvertible {
  package enum Code: Sendable {
    /// The request contradicts what is there, or cannot be understood.
    case usage
    /// `init` or `join` comes first.
    case notInitialised
    /// Another agent, or command, has the state directory.
    case locked
    case conflict
    case joinFailed
    case internalError
  }
  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}
