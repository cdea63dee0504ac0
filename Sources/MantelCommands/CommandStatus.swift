import MantelAgent
import MantelControl

/// The exit codes that scripts rely on.
package enum CommandStatus: Int32, Sendable {
  /// Done; `status`: complete.
  case complete = 0
  /// `status`: not complete. Others: it could not be done now, and may work later.
  case notComplete = 1
  /// `status`: a decision is needed.
  case attention = 2
  case agentNotRunning = 3
  /// The command line is wrong, or contradicts what is there.
  case usage = 64
  case internalError = 70
  /// Interrupted, as shells report SIGINT.
  case interrupted = 130
  /// Nobody reads the output any more, as shells report SIGPIPE.
  case outputClosed = 141

  init(_ error: ControlError) {
    self =
      switch error.code {
      case .notRunning: .agentNotRunning
      case .usage, .notFound, .conflict: .usage
      case .internalError: .internalError
      }
  }

  init(_ error: AgentError) {
    self =
      switch error.code {
      case .usage, .notInitialised, .conflict: .usage
      case .locked, .joinFailed: .notComplete
      case .internalError: .internalError
      }
  }

  /// Of `mantel status`; `waited`: it was asked to wait until all is settled, and only that is a success.
  init(_ status: StatusAnswer, waited: Bool) {
    if status.state == "attention" {
      self = .attention
    } else {
      self = (waited ? status.settled : status.complete) ? .complete : .notComplete
    }
  }
}

/// A command's own failure: a sentence for standard error and the code to end with.
struct CommandFailure: Error, Sendable {
  var status: CommandStatus
  var message: String

  init(_ status: CommandStatus, _ message: String) {
    self.status = status
    self.message = message
  }
}
