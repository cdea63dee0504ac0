import CAvahi
import Glibc
import Logging
import MantelCore

/// The Avahi objects of one thread, and the loop that feeds `DiscoveryCore` with what they say.
///
/// Confined to its thread. Avahi calls back from within the calls that make objects, before their pointers are
/// stored, so a callback only notes what it was told; decisions and frees happen outside of callbacks.
final class AvahiLoop {
  /// What the callbacks of a browser or a resolver get as context; lives as long as the object.
  final class Context {
    unowned let loop: AvahiLoop
    let subject: Subject
    var object: OpaquePointer?

    enum Subject {
      case browser(ServiceKind)
      case resolver(SightingKey)
    }

    init(loop: AvahiLoop, subject: Subject) {
      self.loop = loop
      self.subject = subject
    }
  }

  private let poll: OpaquePointer
  private let serviceType: String
  private let logger: Logger
  private let mailbox: DiscoveryMailbox
  private var core: DiscoveryCore
  private var inputs: [DiscoveryInput] = []
  private var client: OpaquePointer?
  private var group: OpaquePointer?
  private var browsers: [ServiceKind: Context] = [:]
  private var resolvers: [SightingKey: Context] = [:]
  private var addressWatch: (descriptor: Int32, watch: OpaquePointer)?
  /// The agent's last order.
  private(set) var advertisement: Advertisement?

  init(
    poll: OpaquePointer, configuration: DiscoveryConfiguration, advertisement: Advertisement?, logger: Logger,
    mailbox: DiscoveryMailbox
  ) {
    self.poll = poll
    self.logger = logger
    self.mailbox = mailbox
    self.advertisement = advertisement
    serviceType = configuration.serviceType
    core = DiscoveryCore(configuration: configuration, now: bootTime())
    inputs = [.wanted(advertisement), .deadline]
  }

  /// Runs until the mailbox closes or polling fails.
  func run() {
    watchAddresses()
    var suspended = suspendedTime()
    while !mailbox.isClosing {
      if let ordered = mailbox.takeAdvertisement() {
        advertisement = ordered
        inputs.append(.wanted(ordered))
      }
      if suspendedTime() - suspended > DiscoveryLimits.suspendNoticed {
        suspended = suspendedTime()
        inputs.append(.resumed)
      }
      inputs.append(.deadline)
      settle()
      // The wakeup flag inside the poll is no atomic: a wakeup that is half done while `prepare` clears it would
      // leave its pipe readable for ever, and this thread spinning.
      let timeout = sleepMilliseconds()
      guard mailbox.withoutWaking({ avahi_simple_poll_prepare(poll, timeout) }) == 0,
        avahi_simple_poll_run(poll) == 0, avahi_simple_poll_dispatch(poll) == 0
      else {
        logger.debug("avahi poll failed", metadata: ["errno": "\(errno)"])
        return
      }
    }
  }

  /// Frees everything but the poll. The daemon withdraws what a vanished client had published.
  func close() {
    freeClient()
    if let addressWatch {
      avahi_simple_poll_get(poll).pointee.watch_free(addressWatch.watch)
      Glibc.close(addressWatch.descriptor)
    }
    addressWatch = nil
  }

  /// Notes what a callback was told.
  func note(_ input: DiscoveryInput) { inputs.append(input) }

  // MARK: Deciding

  private func settle() {
    var position = 0
    while position < inputs.count {
      let input = inputs[position]
      position += 1
      switch input {
      case .resolved(let key, _), .unresolved(let key): freeResolver(key)
      case .browserFailed(let kind, let reason):
        logger.debug("avahi browser failed", metadata: ["kind": "\(kind)", "reason": "\(reason)"])
        freeBrowser(kind)
      default: break
      }
      core.handle(input, now: bootTime())
      while let action = core.nextAction() {
        perform(action)
        if case .freeClient = action {
          // What the dead client said must not be taken for its successor's word.
          inputs = inputs[position...].filter { !$0.comesFromClient }
          position = 0
        }
      }
    }
    inputs.removeAll(keepingCapacity: true)
  }

  private func sleepMilliseconds() -> Int32 {
    let untilDeadline = core.nextDeadline.map { $0 - bootTime() } ?? DiscoveryLimits.longestSleep
    let sleep = min(max(untilDeadline, .zero), DiscoveryLimits.longestSleep)
    return Int32((sleep.inNanoseconds + 999_999) / 1_000_000)
  }

  private func perform(_ action: DiscoveryAction) {
    switch action {
    case .createClient: createClient()
    case .freeClient: freeClient()
    case .announce(let advertisement): announce(advertisement)
    case .updateTXT(let advertisement): updateTXT(advertisement)
    case .withdraw: if let group { avahi_entry_group_reset(group) }
    case .browse(let kind): browse(kind)
    case .resolve(let key): resolve(key)
    case .freeResolver(let key): freeResolver(key)
    case .tell(let event): mailbox.tell(event)
    }
  }

  // MARK: The client

  private func createClient() {
    var failure: Int32 = 0
    client = avahi_client_new(
      avahi_simple_poll_get(poll), AVAHI_CLIENT_NO_FAIL, clientChanged,
      Unmanaged.passUnretained(self).toOpaque(),
      &failure)
    if client == nil { note(.clientFailed(reason: describe(failure))) }
  }

  /// Freeing the client frees its group, browsers and resolvers; their contexts go after them.
  private func freeClient() {
    if let client {
      logger.debug("avahi client closed")
      avahi_client_free(client)
    }
    client = nil
    group = nil
    browsers = [:]
    resolvers = [:]
  }

  private func lastFailure() -> String { client.map { describe(avahi_client_errno($0)) } ?? "no client" }

  // MARK: Publishing

  private func announce(_ advertisement: Advertisement) {
    guard let client else { return }
    if let group {
      avahi_entry_group_reset(group)
    } else {
      group = avahi_entry_group_new(client, groupChanged, Unmanaged.passUnretained(self).toOpaque())
    }
    guard let group else { return note(.groupRefused(reason: lastFailure())) }
    var outcome = withTXT(advertisement.txt) { txt in
      avahi_entry_group_add_service_strlst(
        group, anyInterface, anyProtocol, none, advertisement.instance, serviceType, nil, nil,
        advertisement.port, txt)
    }
    if outcome == 0, advertisement.isInviting {
      outcome = avahi_entry_group_add_service_subtype(
        group, anyInterface, anyProtocol, none, advertisement.instance, serviceType, nil, joinSubtype)
    }
    if outcome == 0 { outcome = avahi_entry_group_commit(group) }
    switch Int(outcome) {
    case 0: logger.debug("service announced", metadata: ["port": "\(advertisement.port)"])
    case AVAHI_ERR_COLLISION: note(.groupCollided)
    default: note(.groupRefused(reason: describe(outcome)))
    }
  }

  private func updateTXT(_ advertisement: Advertisement) {
    guard let group else { return }
    let outcome = withTXT(advertisement.txt) { txt in
      avahi_entry_group_update_service_txt_strlst(
        group, anyInterface, anyProtocol, none, advertisement.instance, serviceType, nil, txt)
    }
    if outcome != 0 { note(.groupRefused(reason: describe(outcome))) }
  }

  /// Avahi's lists grow at their head, so the strings are added from the last to the first.
  private func withTXT(
    _ record: [String: String], _ body: (UnsafeMutablePointer<AvahiStringList>?) -> Int32
  ) -> Int32 {
    var list: UnsafeMutablePointer<AvahiStringList>?
    for string in TXTRecord.strings(of: record).reversed() {
      list = avahi_string_list_add_arbitrary(list, string, string.count)
    }
    defer { avahi_string_list_free(list) }
    return body(list)
  }

  // MARK: Browsing

  private var joinSubtype: String { "_join._sub.\(serviceType)" }

  private func browse(_ kind: ServiceKind) {
    freeBrowser(kind)
    guard let client else { return }
    let context = Context(loop: self, subject: .browser(kind))
    context.object = avahi_service_browser_new(
      client, anyInterface, anyProtocol, kind == .agents ? serviceType : joinSubtype, nil, noLookupFlags,
      browserChanged, Unmanaged.passUnretained(context).toOpaque())
    browsers[kind] = context
    if context.object == nil { note(.browserFailed(kind, reason: lastFailure())) }
  }

  private func freeBrowser(_ kind: ServiceKind) {
    if let context = browsers[kind], let browser = context.object { avahi_service_browser_free(browser) }
    browsers[kind] = nil
  }

  private func resolve(_ key: SightingKey) {
    freeResolver(key)
    guard let client else { return note(.unresolved(key)) }
    let family = AvahiProtocol(key.isIPv6 ? AVAHI_PROTO_INET6 : AVAHI_PROTO_INET)
    let context = Context(loop: self, subject: .resolver(key))
    context.object = avahi_service_resolver_new(
      client, key.interface, family, key.instance, serviceType, key.domain, family, noLookupFlags,
      resolverChanged,
      Unmanaged.passUnretained(context).toOpaque())
    resolvers[key] = context
    if context.object == nil { note(.unresolved(key)) }
  }

  private func freeResolver(_ key: SightingKey) {
    if let context = resolvers[key], let resolver = context.object { avahi_service_resolver_free(resolver) }
    resolvers[key] = nil
  }

  // MARK: Addresses of this machine

  /// Without the watch the addresses are those of the start: interfaces that come later are browsed by the daemon,
  /// but IPv4 addresses on them are not dialled.
  private func watchAddresses() {
    readAddresses()
    let descriptor = mantel_open_address_watch()
    guard descriptor >= 0 else {
      logger.debug("no address watch", metadata: ["errno": "\(-descriptor)"])
      return
    }
    let api = avahi_simple_poll_get(poll)
    guard
      let watch = api?.pointee.watch_new(
        api, descriptor, AVAHI_WATCH_IN, addressesChanged, Unmanaged.passUnretained(self).toOpaque())
    else {
      Glibc.close(descriptor)
      return
    }
    addressWatch = (descriptor, watch)
  }

  func readAddresses() {
    if let network = LocalNetwork.current() {
      note(.network(network))
    } else {
      logger.debug("addresses not read", metadata: ["errno": "\(errno)"])
    }
  }
}

// MARK: Constants as Avahi's calls want them

private let anyInterface = AvahiIfIndex(AVAHI_IF_UNSPEC)
private let anyProtocol = AvahiProtocol(AVAHI_PROTO_UNSPEC)
private let none = AvahiPublishFlags(rawValue: 0)
private let noLookupFlags = AvahiLookupFlags(rawValue: 0)

func describe(_ failure: Int32) -> String {
  avahi_strerror(failure).map { String(cString: $0) } ?? "Avahi error \(failure)"
}
