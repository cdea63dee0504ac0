import CAvahi
import Glibc
import Logging
import MantelCore

/// Wakes the Avahi thread from its poll.
///
/// `@unchecked Sendable`: the pointer is used under the lock of the mailbox only, and detached from it before it is
/// freed.
struct Waker: @unchecked Sendable {
  private let poll: OpaquePointer

  init(_ poll: OpaquePointer) { self.poll = poll }

  func wake() { avahi_simple_poll_wakeup(poll) }
}

/// The thread that owns the Avahi objects, from its start to the end of the event stream.
enum AvahiThread {
  /// What the thread starts with; handed over whole.
  private final class Start: Sendable {
    let configuration: DiscoveryConfiguration
    let logger: Logger
    let mailbox: DiscoveryMailbox

    init(configuration: DiscoveryConfiguration, logger: Logger, mailbox: DiscoveryMailbox) {
      self.configuration = configuration
      self.logger = logger
      self.mailbox = mailbox
    }
  }

  static func start(configuration: DiscoveryConfiguration, logger: Logger, mailbox: DiscoveryMailbox) {
    let start = Start(configuration: configuration, logger: logger, mailbox: mailbox)
    let context = Unmanaged.passRetained(start)
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      { context in
        if let context { AvahiThread.run(Unmanaged<Start>.fromOpaque(context).takeRetainedValue()) }
        return nil
      }, context.toOpaque())
    guard failure == 0 else {
      context.release()
      logger.debug("discovery thread not started", metadata: ["errno": "\(failure)"])
      mailbox.tell(
        .daemon(.unavailable(reason: "no thread for discovery: \(String(cString: strerror(failure)))")))
      mailbox.finish()
      return
    }
    pthread_detach(thread)
  }

  private static func run(_ start: Start) {
    let (mailbox, logger) = (start.mailbox, start.logger)
    mantel_name_thread("mantel-avahi")
    defer { mailbox.finish() }
    var advertisement: Advertisement?
    while !mailbox.isClosing {
      guard let poll = avahi_simple_poll_new() else {
        // Out of file descriptors; nothing to poll with, so this is the one place that naps.
        mailbox.tell(.daemon(.unavailable(reason: "no file descriptors for discovery")))
        sleep(1)
        continue
      }
      let loop = AvahiLoop(
        poll: poll, configuration: start.configuration, advertisement: advertisement, logger: logger,
        mailbox: mailbox)
      mailbox.attach(Waker(poll))
      loop.run()
      mailbox.attach(nil)
      advertisement = loop.advertisement
      loop.close()
      avahi_simple_poll_free(poll)
    }
  }
}

/// Reads the clock that also runs while the machine is suspended.
func bootTime() -> Instant { read(CLOCK_BOOTTIME) }

/// How much longer the machine has been up than awake.
func suspendedTime() -> Duration { read(CLOCK_BOOTTIME) - read(CLOCK_MONOTONIC) }

private func read(_ clock: clockid_t) -> Instant {
  var time = timespec()
  clock_gettime(clock, &time)
  return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
}
