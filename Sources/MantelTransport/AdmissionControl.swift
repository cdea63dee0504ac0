import MantelCore

/// Whom an accepted connection counts against: an address, or the /64 of an IPv6 one that is not of this link.
struct SourceKey: Hashable, Sendable {
  let bytes: [UInt8]
}

/// Bounds what strangers can hold before they have proved who they are.
///
/// When all places are taken, a newcomer gets that of the oldest connection of the address that holds most; when those of
/// its own address are, that of the oldest there. So a crowd of idle connections keeps nobody out, not even who shares
/// their address, and one address can never hold more than its share.
struct AdmissionControl: Sendable {
  struct Ticket: Hashable, Sendable {
    let number: UInt64
  }

  enum Decision: Equatable {
    case admitted(Ticket, evicting: Ticket?)
    case refused(RefusalReason)
  }

  enum RefusalReason: String, Sendable {
    case tooManyFailures = "too many failed connections of this address"
    case tooManyAddresses = "too many addresses"
  }

  private struct Source {
    /// Oldest first.
    var pending: [Ticket] = []
    /// Failures that are left; refills over time.
    var credit: Double
    var updated: Instant
    var blockedUntil: Instant?
  }

  private let limits: TransportLimits
  private var sources: [SourceKey: Source] = [:]
  private var owners: [Ticket: SourceKey] = [:]
  private var lastTicket: UInt64 = 0

  init(limits: TransportLimits) { self.limits = limits }

  var pendingCount: Int { owners.count }

  mutating func admit(_ key: SourceKey, now: Instant) -> Decision {
    guard var source = known(key, now: now) else { return .refused(.tooManyAddresses) }
    defer { sources[key] = source }
    refill(&source, now: now)
    if let blocked = source.blockedUntil {
      guard now >= blocked else { return .refused(.tooManyFailures) }
      source.blockedUntil = nil
    }
    guard source.credit >= 1 else {
      source.blockedUntil = now + .seconds(60)
      return .refused(.tooManyFailures)
    }
    // Paid in advance and given back on success, so that open connections count as failures until they prove otherwise.
    source.credit -= 1
    lastTicket += 1
    let ticket = Ticket(number: lastTicket)
    let evicted = loser(to: source)
    if let evicted { remove(evicted, from: &source, key: key) }
    source.pending.append(ticket)
    owners[ticket] = key
    return .admitted(ticket, evicting: evicted)
  }

  /// The connection is authorised, or gone. Idempotent, also for an evicted one.
  mutating func settle(_ ticket: Ticket, authorised: Bool, now: Instant) {
    guard let key = owners.removeValue(forKey: ticket), var source = sources[key] else { return }
    source.pending.removeAll { $0 == ticket }
    refill(&source, now: now)
    if authorised { source.credit = min(Double(limits.failuresPerMinute), source.credit + 1) }
    sources[key] = source
  }

  /// A connection that was settled as a failure turned out to be none.
  mutating func forgive(_ key: SourceKey, now: Instant) {
    guard var source = sources[key] else { return }
    refill(&source, now: now)
    source.credit = min(Double(limits.failuresPerMinute), source.credit + 1)
    sources[key] = source
  }

  private mutating func known(_ key: SourceKey, now: Instant) -> Source? {
    if let source = sources[key] { return source }
    if sources.count >= limits.trackedAddresses {
      // The address that was quiet for longest loses its record; those with open connections keep theirs.
      let quiet = sources.filter { $0.value.pending.isEmpty }.min { $0.value.updated < $1.value.updated }
      guard let quiet else { return nil }
      sources[quiet.key] = nil
    }
    return Source(credit: Double(limits.failuresPerMinute), updated: now)
  }

  private func refill(_ source: inout Source, now: Instant) {
    let capacity = Double(limits.failuresPerMinute)
    source.credit = min(capacity, source.credit + (now - source.updated).inSeconds / 60 * capacity)
    source.updated = now
  }

  /// Who has to make room for one more connection of this address.
  private func loser(to source: Source) -> Ticket? {
    if source.pending.count >= limits.unauthenticatedPerAddress { return source.pending.first }
    return owners.count < limits.unauthenticatedConnections ? nil : oldestOfGreediest()
  }

  private func oldestOfGreediest() -> Ticket? {
    let greediest = sources.values.filter { !$0.pending.isEmpty }.max { left, right in
      if left.pending.count != right.pending.count { return left.pending.count < right.pending.count }
      return left.pending[0].number > right.pending[0].number
    }
    return greediest?.pending.first
  }

  private mutating func remove(_ ticket: Ticket, from source: inout Source, key: SourceKey) {
    guard let owner = owners.removeValue(forKey: ticket) else { return }
    if owner == key {
      source.pending.removeAll { $0 == ticket }
    } else {
      sources[owner]?.pending.removeAll { $0 == ticket }
    }
  }
}

/// Decides what of the same kind gets a line in the log (refused connections of an address, faults of a member): the
/// first of a key in each minute, with the number of those that got none.
struct RefusalLog<Key: Hashable & Sendable>: Sendable {
  private struct Record {
    var since: Instant
    var silent: Int
  }

  private let window: Duration = .seconds(60)
  private let capacity = 256
  private var records: [Key: Record] = [:]

  /// How many lines were left out since the last one, or nil when this one is to be left out too.
  mutating func admit(_ key: Key, now: Instant) -> Int? {
    if let record = records[key], now - record.since < window {
      records[key]?.silent += 1
      return nil
    }
    let silent = records[key]?.silent ?? 0
    if records[key] == nil, records.count >= capacity,
      let oldest = records.min(by: { $0.value.since < $1.value.since })
    {
      records[oldest.key] = nil
    }
    records[key] = Record(since: now, silent: 0)
    return silent
  }
}
