/// Bodies of the API's POST requests that have no type of their own yet, and the API's bounds.

/// `POST /v1/peers`
package struct AddressRequest: Codable, Hashable, Sendable {
  /// `HOST:PORT`
  package var address: String

  package init(address: String) { self.address = address }
}

/// `POST /v1/invite`
package struct InviteRequest: Codable, Hashable, Sendable {
  package var seconds: Int

  package init(seconds: Int) { self.seconds = seconds }
}

/// Bounds of the agent's API.
package enum ControlLimits {
  /// Bytes of a request's body: a folder's path of 32 KiB as base64, with excludes.
  package static let requestBytes = 1 << 20
  /// Bytes of an answer: a page of 500 paths of the greatest length, each also as base64.
  package static let answerBytes = 64 << 20
  /// Seconds that `status` may be asked to wait.
  package static let waitSeconds = 86_400
  /// How long an invite is good for when nobody says.
  package static let inviteSeconds = 600
  /// How long a client waits for an answer beyond the time that it asked the agent to take.
  package static let answerSeconds = 120
  /// How long a client waits where the agent may have to hash a large file first.
  package static let hashingSeconds = 3_600
  /// Seconds that a poll of a job may wait for news.
  package static let jobWaitSeconds = 30
}
