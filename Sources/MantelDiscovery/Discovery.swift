package import Logging
import Synchronization

/// Publishes this machine on the LAN and tells who else is there, through the Avahi daemon.
///
/// One thread makes every Avahi call. It survives a missing D-Bus, a missing or restarted daemon, collisions and
/// changes of the network by itself; what it finds is a hint where to dial, never a proof of who is there.
package final class Discovery: Sendable {
  /// What changed since the last event read. For one reader. It is the difference to what was read before, so a slow
  /// reader misses intermediate states but never the last one. Ends after `close()`, once the daemon connection is gone.
  package let events: AsyncStream<DiscoveryEvent>
  private let mailbox: DiscoveryMailbox

  package init(configuration: DiscoveryConfiguration, logger: Logger) {
    let mailbox = DiscoveryMailbox()
    self.mailbox = mailbox
    events = AsyncStream { await mailbox.next() }
    AvahiThread.start(configuration: configuration, logger: logger, mailbox: mailbox)
  }

  deinit { mailbox.close() }

  /// From now on publishes this; nil withdraws. Returns at once; `DaemonState.running` tells the outcome.
  package func publish(_ advertisement: Advertisement?) { mailbox.publish(advertisement) }

  /// Withdraws the service and ends. Returns at once; may be called more than once.
  package func close() { mailbox.close() }
}

/// What passes between the Avahi thread and all others: the wish to publish one way, news the other way.
final class DiscoveryMailbox: Sendable {
  private struct Orders {
    var advertisement: Advertisement?
    var isNew = false
    var isClosing = false
    /// Wakes the thread; set while its poll lives.
    var wake: Waker?
  }

  private let orders = Mutex(Orders())
  private let news = Mutex(EventQueue())
  private let signal: AsyncStream<Void>
  private let signaller: AsyncStream<Void>.Continuation

  init() {
    // One waiting signal stands for any amount of news.
    (signal, signaller) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: For the agent

  func publish(_ advertisement: Advertisement?) {
    orders.withLock {
      $0.advertisement = advertisement
      $0.isNew = true
      $0.wake?.wake()
    }
  }

  func close() {
    orders.withLock {
      $0.isClosing = true
      $0.wake?.wake()
    }
  }

  func next() async -> DiscoveryEvent? {
    while true {
      if let event = news.withLock({ $0.pop() }) { return event }
      var iterator = signal.makeAsyncIterator()
      if await iterator.next() == nil { return news.withLock { $0.pop() } }
    }
  }

  // MARK: For the Avahi thread

  var isClosing: Bool { orders.withLock { $0.isClosing } }

  /// The newest advertisement, if one was ordered since the last call.
  func takeAdvertisement() -> Advertisement?? {
    orders.withLock { orders in
      guard orders.isNew else { return nil }
      orders.isNew = false
      return .some(orders.advertisement)
    }
  }

  func attach(_ waker: Waker?) { orders.withLock { $0.wake = waker } }

  /// Runs `body` while nobody can wake.
  func withoutWaking<Result>(_ body: () -> Result) -> Result {
    orders.withLock { _ in body() }
  }

  func tell(_ event: DiscoveryEvent) {
    news.withLock { $0.push(event) }
    signaller.yield()
  }

  func finish() { signaller.finish() }
}
