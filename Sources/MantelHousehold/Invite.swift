package import MantelCore

/// An open invitation of this machine: whoever knows the code may join, once, while it lasts.
package struct Invite: Hashable, Sendable {
  package static let idBytes = 16
  package static let defaultLifetime: Duration = .seconds(600)

  /// 16 random bytes; not secret.
  package let id: [UInt8]
  package let code: InviteCode
  package let expires: Instant
  package private(set) var isUsed = false

  package init(id: [UInt8], code: InviteCode, opened: Instant, lifetime: Duration = defaultLifetime) {
    precondition(id.count == Self.idBytes, "an invite's id is 16 bytes")
    self.id = id
    self.code = code
    self.expires = opened + lifetime
  }

  package func isOpen(now: Instant) -> Bool { !isUsed && now < expires }

  /// Throws why nobody can join with it any more.
  package func check(now: Instant) throws(JoinError) {
    if isUsed { throw .alreadyUsed }
    if now >= expires { throw .expired }
  }

  /// Uses it up.
  package mutating func burn(now: Instant) throws(JoinError) {
    try check(now: now)
    isUsed = true
  }
}
