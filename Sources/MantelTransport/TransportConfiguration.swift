package import Logging
package import MantelCore
package import MantelHousehold
package import NIOPosix

/// Where to listen.
package enum ListenRequest: Hashable, Sendable {
  /// 0.0.0.0 and ::, on this port or one of the next `TransportLimits.portsTried` that is free, else on any.
  case preferred(UInt16)
  /// This address (nil: 0.0.0.0 and ::) and port (0: any); fails when it is taken.
  case exact(host: String?, port: UInt16)
  /// Not at all: dials only.
  case none
}

/// Bounds of the transport itself; those that peers must agree on are `MantelCore.Limits`. Tests lower them.
package struct TransportLimits: Sendable {
  /// From accept to an authorised peer. Its HELLO has a limit of its own, the session's.
  package var handshake: Duration = Limits.handshake
  package var unauthenticatedConnections = Limits.unauthenticatedConnections
  package var unauthenticatedPerAddress = Limits.unauthenticatedPerAddress
  /// Accepted connections of one address that did not end authorised, in a minute; then it is refused for a minute.
  package var failuresPerMinute = 20
  /// Addresses that failures are counted for.
  package var trackedAddresses = 1_024
  package var joinConnections = 4
  package var joinConnectionsPerAddress = 2
  /// Authorised connections of one machine, the one that is kept included.
  package var connectionsPerPeer = 4
  /// Of those that it dialled, with the ones whose HELLO is still awaited. More than `connectionsPerPeer`, for a machine
  /// tries all its ways to another one at once.
  package var arrivalsPerPeer = 8
  /// How long a connection may take to answer a ping before another one to the same machine replaces it.
  package var probe: Duration = .seconds(5)
  /// How long the last frames of a closing connection may take.
  package var closeGrace: Duration = .seconds(2)
  /// Ports tried after the preferred one.
  package var portsTried: UInt16 = 16

  /// Bytes read from the peer before its session takes them.
  package var inboundBytes = 256 << 10
  /// Events (and their bytes) that wait for the environment before reading stops.
  package var waitingEvents = 256
  package var waitingEventBytes = 1 << 20
  /// Bytes handed to the channel above which only what the session owes nobody's request is added.
  package var outboundBytes = 192 << 10
  /// Bytes that one write collects.
  package var writeBytes = 128 << 10
  /// Store queries of one session in progress; the others wait. Also those that a peer's ended sessions may leave behind.
  package var concurrentQueries = 16
  /// Commands that wait for a session; more mean that it is stuck, and close it.
  package var waitingCommands = 4_096
  /// Sessions and joins that wait for `run()`.
  package var waitingConnections = 64

  package init() {}
}

/// What a transport is made from.
package struct TransportConfiguration: Sendable {
  package var key: DeviceKey
  package var listen: ListenRequest
  /// Boot time; the only clock that decides anything here.
  package var now: @Sendable () -> Instant
  package var logger: Logger
  package var limits: TransportLimits
  package var group: MultiThreadedEventLoopGroup

  package init(
    key: DeviceKey, listen: ListenRequest, now: @escaping @Sendable () -> Instant, logger: Logger,
    limits: TransportLimits = TransportLimits(), group: MultiThreadedEventLoopGroup = .singleton
  ) {
    self.key = key
    self.listen = listen
    self.now = now
    self.logger = logger
    self.limits = limits
    self.group = group
  }
}
