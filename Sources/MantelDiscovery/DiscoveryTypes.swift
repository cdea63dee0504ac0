package import MantelCore

/// What this machine says of itself on the LAN. It carries what dialling needs and nothing that names the household.
package struct Advertisement: Hashable, Sendable {
  /// Random name of the service instance, at most 63 bytes of UTF-8.
  package var instance: String
  package var port: UInt16
  /// Keys of at most 9 bytes of printable ASCII without "="; all strings together at most 400 bytes.
  package var txt: [String: String]
  /// An invite is open: published under the join subtype too.
  package var isInviting: Bool

  package init(instance: String, port: UInt16, txt: [String: String], isInviting: Bool) {
    precondition(
      !instance.isEmpty && instance.utf8.count <= DiscoveryLimits.instanceBytes && port > 0,
      "an advertisement needs a name of 1 to 63 bytes and a port")
    precondition(TXTRecord.isPublishable(txt), "a TXT record has small ASCII keys and at most 400 bytes")
    self.instance = instance
    self.port = port
    self.txt = txt
    self.isInviting = isInviting
  }
}

/// A service instance of another agent, over all links on which it is seen.
package struct DiscoveredService: Hashable, Sendable {
  package var instance: String
  /// At most 16, in the order in which to try them: by cable first; IPv4, routable IPv6, link-local IPv6 (`fe80::1%eth0`).
  /// mDNS proves nothing: the peer's certificate does.
  package var addresses: [NetworkAddress]
  /// Those of them that were seen through a cable of this machine, and those that were seen on its wireless interfaces only.
  package var wired: Set<NetworkAddress> = []
  package var wireless: Set<NetworkAddress> = []
  /// Keys in lower case. Comes from a stranger.
  package var txt: [String: String]
  /// Somebody there has an open invite.
  package var isJoin: Bool
  /// The local interface on which the first address was seen.
  package var interface: String
}

/// Whether our own service stands on the network.
package enum PublicationState: Hashable, Sendable {
  /// Nothing to publish.
  case nothing
  /// Waits for the daemon, or for its probes.
  case registering
  /// Visible under this name, which differs from the advertised one after a collision.
  case published(instance: String)
  /// The daemon does not let us; browsing goes on, and one side publishing is enough.
  case refused(reason: String)
}

/// How discovery itself fares, for `status` and `doctor`.
package enum DaemonState: Hashable, Sendable {
  case starting
  /// No D-Bus, or no Avahi daemon; tried again for ever.
  case unavailable(reason: String)
  case running(PublicationState)
}

package enum DiscoveryEvent: Hashable, Sendable {
  case daemon(DaemonState)
  /// New, or changed: replaces what was told of that instance.
  case found(DiscoveredService)
  /// Not seen any more. Says nothing of open connections.
  case lost(instance: String)
}

package struct DiscoveryConfiguration: Sendable {
  package var serviceType: String
  package var interfaces: InterfaceFilter
  /// Makes the advertisement that takes the place of one whose name is taken: same but for a new random name and
  /// what depends on it. What it returns stands until the next `publish`, which should keep the new name. Called on
  /// discovery's thread.
  package var rename: @Sendable (Advertisement) -> Advertisement

  package init(
    serviceType: String = "_mantel._tcp", interfaces: InterfaceFilter = .standard,
    rename: @escaping @Sendable (Advertisement) -> Advertisement
  ) {
    self.serviceType = serviceType
    self.interfaces = interfaces
    self.rename = rename
  }
}
