import MantelCore
import MantelHousehold
import MantelTransport

/// Which of the machines that advertise an open invite are tried, and what is said when none took the code: pure.
///
/// Anybody can advertise an invite, and a neighbour may have one open: no refusal ends the search, for all but the
/// machine that knows the code say the same for nothing.
struct InviterSearch: Sendable {
  /// One address of one advertised service.
  struct Attempt: Hashable, Sendable {
    var instance: String
    var address: NetworkAddress
  }

  static let attemptsAtOnce = 8
  static let services = 64
  static let addressesPerService = 8
  /// How long to look on once somebody has answered, and refused.
  static let patience: Duration = .seconds(3)

  /// Addresses of each service that were not tried yet, in the order in which they were seen.
  private var untried: [(instance: String, addresses: [NetworkAddress])] = []
  private var seen: [String: Set<NetworkAddress>] = [:]
  private var underWay: Set<String> = []
  /// What tells most of why nobody was joined.
  private(set) var reason: (any Error)?
  private(set) var wasRefused = false

  /// Everybody who is known was asked.
  var isIdle: Bool { underWay.isEmpty && untried.isEmpty }

  /// Returns what is to be tried now.
  mutating func found(_ instance: String, _ addresses: [NetworkAddress]) -> [Attempt] {
    guard seen[instance] != nil || seen.count < Self.services else { return [] }
    var fresh: [NetworkAddress] = []
    for address in addresses where seen[instance, default: []].count < Self.addressesPerService {
      if seen[instance, default: []].insert(address).inserted { fresh.append(address) }
    }
    if let index = untried.firstIndex(where: { $0.instance == instance }) {
      untried[index].addresses += fresh
    } else if !fresh.isEmpty {
      untried.append((instance, fresh))
    }
    return next()
  }

  /// Returns what is to be tried now. A machine that refused is not asked at another of its addresses.
  mutating func failed(_ attempt: Attempt, _ error: any Error) -> [Attempt] {
    underWay.remove(attempt.instance)
    if error is JoinError {
      wasRefused = true
      untried.removeAll { $0.instance == attempt.instance }
    }
    if Self.weight(of: error) >= reason.map(Self.weight(of:)) ?? 0 { reason = error }
    return next()
  }

  private mutating func next() -> [Attempt] {
    var attempts: [Attempt] = []
    for index in untried.indices where underWay.count < Self.attemptsAtOnce {
      let instance = untried[index].instance
      guard !underWay.contains(instance), !untried[index].addresses.isEmpty else { continue }
      underWay.insert(instance)
      attempts.append(Attempt(instance: instance, address: untried[index].addresses.removeFirst()))
    }
    untried.removeAll { $0.addresses.isEmpty }
    return attempts
  }

  /// How much a failure says about the invite that the user means.
  private static func weight(of error: any Error) -> Int {
    switch error {
    case let error as JoinError:
      switch error {
      // Only who knows the code gets these from the right machine.
      case .alreadyMember, .removedKey, .unknownReplaced, .replacedIsAlive, .householdFull,
        .tooManyStatements,
        .rosterTooLarge, .declined:
        5
      case .alreadyUsed, .expired: 4
      case .wrongCode: 3
      case .noInvite, .busy, .notInviteVersion: 2
      case .tampered, .unexpectedMessage: 1
      }
    default: 0
    }
  }
}
