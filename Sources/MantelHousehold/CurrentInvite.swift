package import MantelCore

/// The one invite that a machine has at a time, from when it is opened until newcomers need not be told any more that it is
/// over.
package struct CurrentInvite: Sendable {
  /// For so long after its time a newcomer hears that the invite expired, or that its code was used: later it looks as if
  /// there had been none.
  package static let afterlife: Duration = .seconds(3_600)

  private var invite: Invite?

  package init() {}

  /// One that was open before is void from now on: its code is a wrong one.
  package mutating func open(_ invite: Invite) { self.invite = invite }

  /// Whether somebody can join now; what discovery advertises.
  package func isOpen(now: Instant) -> Bool { invite?.isOpen(now: now) ?? false }

  /// Whether newcomers get an answer at all, be it a refusal.
  package func isAnswered(now: Instant) -> Bool {
    invite.map { now < $0.expires + Self.afterlife } ?? false
  }

  /// The invite to offer to a newcomer. Throws why there is none.
  package func offer(now: Instant) throws(JoinError) -> Invite {
    guard let invite, isAnswered(now: now) else { throw .noInvite }
    try invite.check(now: now)
    return invite
  }

  /// Uses up the invite of this id: the last step before its newcomer is admitted, so that nothing which refuses that one
  /// costs the code. Throws `wrongCode` for one that another took the place of; of two newcomers that proved the code at
  /// once the second gets `alreadyUsed`.
  package mutating func burn(_ id: [UInt8], now: Instant) throws(JoinError) {
    guard invite?.id == id else { throw .wrongCode }
    try invite?.burn(now: now)
  }
}
