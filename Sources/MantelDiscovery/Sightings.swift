import MantelCore

/// What is browsed for.
enum ServiceKind: Hashable, Sendable, CaseIterable {
  case agents
  /// The subtype of agents with an open invite.
  case inviters
}

/// One appearance of a service: Avahi tells each name once per interface and protocol, and takes it back alike.
struct SightingKey: Hashable, Sendable {
  var instance: String
  var domain: String
  /// Index of the interface.
  var interface: Int32
  var isIPv6: Bool
}

/// What a resolver found.
struct ResolvedAnswer: Hashable, Sendable {
  var address: IPAddress
  var port: UInt16
  var txt: [String: String]
}

/// Which instances are seen, on which links, at which addresses. Pure.
///
/// An instance is there while it has a resolved sighting. Sightings outlive the browser that made them for a while, so
/// that a restart of the daemon does not look like all peers leaving.
struct Sightings: Sendable {
  private enum Resolution {
    case due(Instant)
    case running(since: Instant)
  }

  private struct Sighting {
    var interfaceName: String
    var generation: Int
    var resolution: Resolution
    var backoff = DiscoveryLimits.backoff
    var refresh = DiscoveryLimits.firstRefresh
    var answer: ResolvedAnswer?
    var answeredAt = Instant(nanoseconds: 0)
  }

  private var sightings: [SightingKey: Sighting] = [:]
  /// Sightings under the join subtype, with their generation.
  private var invitations: [SightingKey: Int] = [:]
  /// The sightings of each instance, of both kinds.
  private var keys: [String: Set<SightingKey>] = [:]
  private var running: Set<SightingKey> = []
  private var generation = 0
  private var sweepAt: Instant?
  /// There was no room for a sighting at some time; everything is browsed again then.
  private var overflowRetryAt: Instant?
  var network = LocalNetwork()

  /// When `sweep` has something to do; runs on while there is no daemon.
  var sweepDeadline: Instant? { sweepAt }

  var count: Int { sightings.count + invitations.count }

  /// When `resolutionsDue`, `sweep` or `takeOverflow` have something to do.
  var nextDeadline: Instant? {
    var earliest = [sweepAt, overflowRetryAt].compactMap(\.self).min()
    for sighting in sightings.values {
      let due: Instant
      switch sighting.resolution {
      case .due(let when) where running.count < DiscoveryLimits.openResolvers: due = when
      case .due: continue
      case .running(let since): due = since + DiscoveryLimits.resolverPatience
      }
      earliest = min(earliest ?? due, due)
    }
    return earliest
  }

  // MARK: What the browsers say

  /// Returns false when there is no room.
  mutating func appeared(_ kind: ServiceKind, _ key: SightingKey, on interfaceName: String, now: Instant)
    -> Bool
  {
    guard sightings[key] != nil || count < DiscoveryLimits.sightings,
      sightings[key] != nil || (keys[key.instance]?.count ?? 0) < DiscoveryLimits.sightingsPerInstance
    else {
      overflowRetryAt = overflowRetryAt ?? now + DiscoveryLimits.overflowRetry
      return false
    }
    keys[key.instance, default: []].insert(key)
    switch kind {
    case .inviters:
      invitations[key] = generation
    case .agents:
      if sightings[key] == nil {
        sightings[key] = Sighting(interfaceName: interfaceName, generation: generation, resolution: .due(now))
      } else {
        sightings[key]?.generation = generation
        sightings[key]?.interfaceName = interfaceName
        sightings[key]?.backoff.reset()
        sightings[key]?.refresh = DiscoveryLimits.firstRefresh
        if case .due? = sightings[key]?.resolution { sightings[key]?.resolution = .due(now) }
      }
    }
    return true
  }

  /// Returns true if a resolver for the sighting is open and has to be freed.
  mutating func vanished(_ kind: ServiceKind, _ key: SightingKey) -> Bool {
    switch kind {
    case .inviters:
      invitations[key] = nil
      forget(key)
      return false
    case .agents:
      guard let sighting = sightings.removeValue(forKey: key) else { return false }
      forget(key)
      guard case .running = sighting.resolution else { return false }
      running.remove(key)
      return true
    }
  }

  /// Everything is browsed for again, or soon will be: what is not repeated goes.
  mutating func beginGeneration(now: Instant) {
    generation += 1
    sweepAt = count == 0 ? nil : now + DiscoveryLimits.staleSightings
  }

  /// The daemon has told all that it knows.
  mutating func settled(now: Instant) {
    if let sweepAt { self.sweepAt = min(sweepAt, now + DiscoveryLimits.settle) }
  }

  /// The resolvers died with their client.
  mutating func resolversGone(now: Instant) {
    for key in running { sightings[key]?.resolution = .due(now) }
    running = []
  }

  // MARK: Resolving

  /// The sightings to open resolvers for now; each is counted as running until `resolved` or `unresolved`.
  mutating func resolutionsDue(now: Instant) -> [SightingKey] {
    guard running.count < DiscoveryLimits.openResolvers else { return [] }
    let due = sightings.compactMap { key, sighting -> (Instant, SightingKey)? in
      guard case .due(let when) = sighting.resolution, when <= now else { return nil }
      return (when, key)
    }
    .sorted { ($0.0, $0.1.instance) < ($1.0, $1.1.instance) }
    .prefix(DiscoveryLimits.openResolvers - running.count)
    .map(\.1)
    for key in due { sightings[key]?.resolution = .running(since: now) }
    running.formUnion(due)
    return due
  }

  /// Resolvers that never answered; they have to be freed.
  mutating func resolutionsOverdue(now: Instant) -> [SightingKey] {
    let overdue = running.filter { key in
      guard case .running(let since)? = sightings[key]?.resolution else { return false }
      return since + DiscoveryLimits.resolverPatience <= now
    }
    for key in overdue { unresolved(key, now: now) }
    return Array(overdue)
  }

  mutating func resolved(_ key: SightingKey, _ answer: ResolvedAnswer, now: Instant) {
    guard case .running? = sightings[key]?.resolution else { return }
    running.remove(key)
    guard var sighting = sightings[key] else { return }
    let isNews = sighting.answer != answer
    let refresh = isNews ? DiscoveryLimits.firstRefresh : sighting.refresh
    sighting.resolution = .due(now + refresh)
    sighting.refresh = min(refresh * 2, DiscoveryLimits.longestRefresh)
    sighting.backoff.reset()
    sighting.answer = answer
    sighting.answeredAt = now
    sightings[key] = sighting
  }

  /// The old answer stays: the sighting does, and the peer's certificate decides anyway.
  mutating func unresolved(_ key: SightingKey, now: Instant) {
    guard case .running? = sightings[key]?.resolution, let delay = sightings[key]?.backoff.next() else {
      return
    }
    running.remove(key)
    sightings[key]?.resolution = .due(now + delay)
  }

  // MARK: Time

  /// Drops what was not repeated since the last `beginGeneration`, when its time is over. Returns the instances that
  /// it touched, and the open resolvers to be freed.
  mutating func sweep(now: Instant) -> (touched: Set<String>, resolvers: [SightingKey]) {
    guard let sweepAt, sweepAt <= now else { return ([], []) }
    self.sweepAt = nil
    var touched: Set<String> = []
    var resolvers: [SightingKey] = []
    for key in sightings.filter({ $0.value.generation < generation }).keys {
      touched.insert(key.instance)
      if vanished(.agents, key) { resolvers.append(key) }
    }
    for key in invitations.filter({ $0.value < generation }).keys {
      touched.insert(key.instance)
      _ = vanished(.inviters, key)
    }
    return (touched, resolvers)
  }

  /// True once when it is time to browse again for what there was no room for.
  mutating func takeOverflow(now: Instant) -> Bool {
    guard let overflowRetryAt, overflowRetryAt <= now else { return false }
    self.overflowRetryAt = nil
    return true
  }

  // MARK: What is known

  var instances: [String] { Array(keys.keys) }

  /// What is to be told of an instance; nil if it is not there or cannot be dialled.
  func service(_ instance: String) -> DiscoveredService? {
    var candidates: [(medium: LocalNetwork.Medium, rank: Int, address: NetworkAddress, interface: String)] =
      []
    var newest: (at: Instant, txt: [String: String])?
    let seen = keys[instance] ?? []
    for sighting in seen.compactMap({ sightings[$0] }) {
      guard let answer = sighting.answer, answer.port > 0,
        network.admits(answer.address, on: sighting.interfaceName)
      else { continue }
      let isScoped = answer.address.isLinkLocal6
      let host = answer.address.text + (isScoped ? "%\(sighting.interfaceName)" : "")
      candidates.append(
        (
          network.media[sighting.interfaceName] ?? .unknown,
          answer.address.isIPv4 ? 0 : isScoped ? 2 : 1, NetworkAddress(host: host, port: answer.port),
          sighting.interfaceName
        ))
      if newest.map({ sighting.answeredAt > $0.at }) ?? true { newest = (sighting.answeredAt, answer.txt) }
    }
    candidates.sort {
      ($0.medium.rawValue, $0.rank, $0.address, $0.interface)
        < ($1.medium.rawValue, $1.rank, $1.address, $1.interface)
    }
    guard let first = candidates.first, let newest else { return nil }
    var addresses: [NetworkAddress] = []
    var media: [LocalNetwork.Medium: Set<NetworkAddress>] = [:]
    for candidate in candidates
    where !addresses.contains(candidate.address) && addresses.count < DiscoveryLimits.addresses {
      addresses.append(candidate.address)
      media[candidate.medium, default: []].insert(candidate.address)
    }
    return DiscoveredService(
      instance: instance, addresses: addresses, wired: media[.wired] ?? [], wireless: media[.wireless] ?? [],
      txt: newest.txt, isJoin: seen.contains { invitations[$0] != nil }, interface: first.interface)
  }

  private mutating func forget(_ key: SightingKey) {
    guard sightings[key] == nil, invitations[key] == nil else { return }
    keys[key.instance]?.remove(key)
    if keys[key.instance]?.isEmpty ?? false { keys[key.instance] = nil }
  }
}
