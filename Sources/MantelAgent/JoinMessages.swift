import MantelHousehold
import MantelTransport

/// Why joining did not work, in words that say what to do next.
enum JoinMessages {
  static func text(_ error: InviteCodeError) -> String {
    switch error {
    case .wrongLength(let count):
      "an invite code has 16 letters and digits, this one has \(count): copy it again from `mantel invite`"
    case .invalidCharacter(let character):
      "\"\(character)\" is in no invite code: copy it again from `mantel invite`"
    case .wrongCheckSymbol:
      "the invite code is mistyped (its check symbol does not fit): compare it with what `mantel invite` printed"
    }
  }

  static func text(_ error: JoinError) -> String {
    switch error {
    case .wrongCode:
      "the code is not the one of this invite: compare it with what `mantel invite` printed last, and try again"
    case .expired: "the invite has expired: run `mantel invite` again for a new code"
    case .alreadyUsed: "the code was used already, it is good for one machine: run `mantel invite` again"
    case .noInvite: "that machine has no open invite: run `mantel invite` there first"
    case .notInviteVersion: "that machine speaks another version of joining: update Mantel on both"
    case .tampered:
      "the answer cannot be trusted, somebody may stand between the machines: nothing was stored"
    case .alreadyMember: "this machine is a member of that household already"
    case .removedKey: "this machine was removed from that household: it needs a new key"
    case .unknownReplaced:
      "no machine, or more than one, has the name given to --replaces: see `mantel peers` there"
    case .replacedIsAlive:
      "the machine given to --replaces is running: nothing was changed. Stop it first, if it really is to be replaced"
    case .householdFull: "the household has as many machines as it may have"
    case .tooManyStatements, .rosterTooLarge:
      "that machine cannot admit any more: run `mantel invite` on another one"
    case .declined: "not joined: declined"
    case .busy: "that machine is busy: try again in a moment"
    case .unexpectedMessage: "that machine answered something unexpected: update Mantel on both"
    }
  }

  static func agentError(_ error: any Error) -> any Error {
    switch error {
    case let error as JoinError: AgentError(.joinFailed, text(error))
    case let error as TransportError where error.code == .noCommonProtocol:
      AgentError(.joinFailed, text(JoinError.noInvite))
    case let error as TransportError where error.code == .connectionClosed || error.code == .timeout:
      AgentError(
        .joinFailed, "the machine that invites was lost in the middle of it: nothing was stored, try again")
    case let error as TransportError:
      AgentError(.joinFailed, "cannot reach the machine that invites: \(error.message)")
    default: error
    }
  }
}
