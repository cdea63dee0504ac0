import CAvahi
import MantelCore

// Free functions for C. They copy what they are given, note one value, and return. Contexts are not retained here:
// the loop keeps them until after the object that calls has been freed.

func clientChanged(_ client: OpaquePointer?, _ state: AvahiClientState, _ context: UnsafeMutableRawPointer?) {
  guard let context else { return }
  let loop = Unmanaged<AvahiLoop>.fromOpaque(context).takeUnretainedValue()
  switch state {
  case AVAHI_CLIENT_S_RUNNING: loop.note(.daemonRunning)
  case AVAHI_CLIENT_S_REGISTERING, AVAHI_CLIENT_S_COLLISION: loop.note(.daemonRegistering)
  case AVAHI_CLIENT_CONNECTING: loop.note(.clientConnecting)
  default: loop.note(.clientFailed(reason: client.map { describe(avahi_client_errno($0)) } ?? "no client"))
  }
}

func groupChanged(_ group: OpaquePointer?, _ state: AvahiEntryGroupState, _ context: UnsafeMutableRawPointer?)
{
  guard let context else { return }
  let loop = Unmanaged<AvahiLoop>.fromOpaque(context).takeUnretainedValue()
  switch state {
  case AVAHI_ENTRY_GROUP_REGISTERING: loop.note(.groupRegistering)
  case AVAHI_ENTRY_GROUP_ESTABLISHED: loop.note(.groupEstablished)
  case AVAHI_ENTRY_GROUP_COLLISION: loop.note(.groupCollided)
  case AVAHI_ENTRY_GROUP_FAILURE:
    let failure = group.flatMap { avahi_entry_group_get_client($0) }.map { avahi_client_errno($0) }
    loop.note(.groupRefused(reason: failure.map(describe) ?? "the group failed"))
  default: break
  }
}

func browserChanged(
  _ browser: OpaquePointer?, _ interface: AvahiIfIndex, _ family: AvahiProtocol, _ event: AvahiBrowserEvent,
  _ name: UnsafePointer<CChar>?, _ type: UnsafePointer<CChar>?, _ domain: UnsafePointer<CChar>?,
  _ flags: AvahiLookupResultFlags, _ context: UnsafeMutableRawPointer?
) {
  guard let context else { return }
  let owner = Unmanaged<AvahiLoop.Context>.fromOpaque(context).takeUnretainedValue()
  guard case .browser(let kind) = owner.subject else { return }
  switch event {
  case AVAHI_BROWSER_NEW, AVAHI_BROWSER_REMOVE:
    guard let name, let domain else { return }
    let key = SightingKey(
      instance: String(cString: name), domain: String(cString: domain), interface: interface,
      isIPv6: Int(family) == AVAHI_PROTO_INET6)
    guard event == AVAHI_BROWSER_NEW else { return owner.loop.note(.vanished(kind, key)) }
    // An interface that is gone again takes its sightings back by itself.
    guard let (interfaceName, isBridgePort) = LocalNetwork.interface(at: interface) else { return }
    let isOurs = flags.rawValue & AVAHI_LOOKUP_RESULT_OUR_OWN.rawValue != 0
    owner.loop.note(
      .appeared(kind, key, interface: interfaceName, isBridgePort: isBridgePort, isOurs: isOurs))
  case AVAHI_BROWSER_ALL_FOR_NOW:
    owner.loop.note(.settled(kind))
  case AVAHI_BROWSER_FAILURE:
    let failure = browser.flatMap { avahi_service_browser_get_client($0) }.map { avahi_client_errno($0) }
    owner.loop.note(.browserFailed(kind, reason: failure.map(describe) ?? "the browser failed"))
  default: break
  }
}

func resolverChanged(
  _ resolver: OpaquePointer?, _ interface: AvahiIfIndex, _ family: AvahiProtocol, _ event: AvahiResolverEvent,
  _ name: UnsafePointer<CChar>?, _ type: UnsafePointer<CChar>?, _ domain: UnsafePointer<CChar>?,
  _ host: UnsafePointer<CChar>?, _ address: UnsafePointer<AvahiAddress>?, _ port: UInt16,
  _ txt: UnsafeMutablePointer<AvahiStringList>?, _ flags: AvahiLookupResultFlags,
  _ context: UnsafeMutableRawPointer?
) {
  guard let context else { return }
  let owner = Unmanaged<AvahiLoop.Context>.fromOpaque(context).takeUnretainedValue()
  guard case .resolver(let key) = owner.subject else { return }
  guard event == AVAHI_RESOLVER_FOUND, let address, let copy = ipAddress(address) else {
    return owner.loop.note(.unresolved(key))
  }
  let record = TXTRecord.parse(strings(txt))
  owner.loop.note(.resolved(key, ResolvedAnswer(address: copy, port: port, txt: record)))
}

func addressesChanged(
  _ watch: OpaquePointer?, _ descriptor: Int32, _ event: AvahiWatchEvent, _ context: UnsafeMutableRawPointer?
) {
  mantel_drain_address_watch(descriptor)
  guard let context else { return }
  Unmanaged<AvahiLoop>.fromOpaque(context).takeUnretainedValue().readAddresses()
}

private func ipAddress(_ address: UnsafePointer<AvahiAddress>) -> IPAddress? {
  var buffer = [CChar](repeating: 0, count: Int(AVAHI_ADDRESS_STR_MAX))
  guard avahi_address_snprint(&buffer, buffer.count, address) != nil else { return nil }
  let text = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  switch Int(address.pointee.proto) {
  case AVAHI_PROTO_INET:
    return IPAddress(bytes: withUnsafeBytes(of: address.pointee.data.ipv4.address) { Array($0) }, text: text)
  case AVAHI_PROTO_INET6:
    return IPAddress(bytes: withUnsafeBytes(of: address.pointee.data.ipv6.address) { Array($0) }, text: text)
  default:
    return nil
  }
}

/// Copies the strings of a TXT record, no more than the limits allow.
private func strings(_ list: UnsafeMutablePointer<AvahiStringList>?) -> [[UInt8]] {
  var result: [[UInt8]] = []
  var next = list
  while let entry = next, result.count < DiscoveryLimits.txtStrings {
    let size = min(avahi_string_list_get_size(entry), DiscoveryLimits.txtBytes)
    if let text = avahi_string_list_get_text(entry) {
      result.append(Array(UnsafeBufferPointer(start: text, count: size)))
    }
    next = avahi_string_list_get_next(entry)
  }
  return result
}
