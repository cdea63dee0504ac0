import MantelCore

/// Where to dial, and when: pure bookkeeping of addresses, what is known to answer there, and waiting times.
struct DialPlan: Sendable {
  struct Candidate: Hashable, Sendable {
    var address: NetworkAddress
    /// Who is expected there; nil when only the certificate will tell.
    var machine: MachineID?
  }
  private struct Attempts: Sendable {
    var failures = 0
    var notBefore: Instant
    /// When the dial under way began.
    var diallingSince: Instant?
    var isDialling: Bool { diallingSince != nil }
  }

  /// Addresses that somebody told (discovery, the user): who answers there is not known at first.
  private var anonymous: [NetworkAddress: Set<Source>] = [:]
  /// Addresses that lead over the air, with those of the same instances that lead through a cable.
  private var cables: [NetworkAddress: Set<NetworkAddress>] = [:]
  /// Who answered at an address last, and when. Routers give addresses to others, so this is good for a time only.
  private var answers: [NetworkAddress: (machine: MachineID, at: Instant)] = [:]
  private var attempts: [NetworkAddress: Attempts] = [:]

  enum Source: Hashable, Sendable {
    case discovered(instance: String)
    case fixed
  }

  static let shortestWait: Duration = .seconds(1)
  static let longestWait: Duration = .seconds(60)
  /// How long an address is taken for that of the machine that answered there.
  static let answerLife: Duration = .seconds(600)
  /// Between two looks while a member is away.
  static let longestLook: Duration = .seconds(5)
  /// What a dial through a cable is ahead of one over the air to the same machine: the delay between attempts of RFC 8305,
  /// section 5. A cable carries each byte once and takes no air from others.
  static let cableLead: Duration = .milliseconds(250)
  static let candidatesAtOnce = 8
  static let addresses = 512

  // MARK: What is known

  /// `wired`, `wireless`: those of the addresses that lead through a cable, and over the air; of others nobody knows.
  mutating func discovered(
    _ instance: String, _ addresses: [NetworkAddress], wired: Set<NetworkAddress> = [],
    wireless: Set<NetworkAddress> = [], now: Instant
  ) {
    lost(instance)
    for address in addresses where anonymous.count < Self.addresses {
      anonymous[address, default: []].insert(.discovered(instance: instance))
      cables[address] = wireless.contains(address) && !wired.isEmpty ? wired : nil
      // A new sign of life is worth a try at once.
      if attempts[address]?.isDialling != true { attempts[address] = nil }
    }
  }

  mutating func lost(_ instance: String) {
    for address in anonymous.keys {
      anonymous[address]?.remove(.discovered(instance: instance))
      forgetIfUnnamed(address)
    }
  }

  private mutating func forgetIfUnnamed(_ address: NetworkAddress) {
    guard anonymous[address]?.isEmpty == true else { return }
    anonymous[address] = nil
    cables[address] = nil
  }

  mutating func setFixed(_ addresses: Set<NetworkAddress>) {
    for address in anonymous.keys where !addresses.contains(address) {
      anonymous[address]?.remove(.fixed)
      forgetIfUnnamed(address)
    }
    for address in addresses { anonymous[address, default: []].insert(.fixed) }
  }

  // MARK: Dialling

  /// What to dial now. `remembered`: addresses of members that worked, or that members told of each other, best first.
  /// `wanted`: members without a connection.
  func due(
    wanted: Set<MachineID>, remembered: [MachineID: [NetworkAddress]], own: Set<NetworkAddress>,
    now: Instant
  ) -> [Candidate] {
    var candidates: [Candidate] = []
    var busy = attempts.values.count(where: \.isDialling)
    func add(_ candidate: Candidate) {
      guard busy < Self.candidatesAtOnce, !own.contains(candidate.address),
        !candidates.contains(where: { $0.address == candidate.address })
      else { return }
      if let state = attempts[candidate.address], state.isDialling || state.notBefore > now { return }
      let cables = cables[candidate.address]?.subtracting(own) ?? []
      guard !cables.contains(where: { leads($0, to: wanted, now: now) }) else { return }
      candidates.append(candidate)
      busy += 1
    }
    for address in anonymous.keys.sorted() {
      let machine = lastAnswer(at: address, now: now)
      if let machine, !wanted.contains(machine) { continue }
      guard !wanted.isEmpty else { continue }
      add(Candidate(address: address, machine: machine))
    }
    for machine in wanted.sorted() {
      for address in remembered[machine] ?? [] {
        // Another machine has it now.
        if let other = lastAnswer(at: address, now: now), other != machine { continue }
        add(Candidate(address: address, machine: machine))
      }
    }
    return candidates
  }

  /// Whether a cable is worth waiting for: it was never tried, is being tried for a moment, or led there when it was.
  private func leads(_ cable: NetworkAddress, to wanted: Set<MachineID>, now: Instant) -> Bool {
    guard anonymous[cable] != nil, lastAnswer(at: cable, now: now).map(wanted.contains) ?? true else {
      return false
    }
    guard let attempt = attempts[cable] else { return true }
    return attempt.failures == 0 && attempt.diallingSince.map { now < $0 + Self.cableLead } ?? true
  }

  /// When `due` may have more to say than at `now`, if nothing else happens; nil while nobody is wanted. No later than
  /// `longestLook` from now: members tell of addresses too, and nobody tells the plan of that.
  func nextLook(
    wanted: Set<MachineID>, remembered: [MachineID: [NetworkAddress]], own: Set<NetworkAddress>, now: Instant
  ) -> Instant? {
    guard !wanted.isEmpty else { return nil }
    let addresses = Set(anonymous.keys).union(remembered.values.joined()).subtracting(own)
    let leading = Set(cables.values.joined())
    let moments = addresses.flatMap { address -> [Instant] in
      // The end of a dial is news by itself.
      let wait = attempts[address].flatMap { attempt in
        guard let since = attempt.diallingSince else { return attempt.notBefore }
        return leading.contains(address) ? since + Self.cableLead : nil
      }
      return [wait, answers[address].map { $0.at + Self.answerLife }].compactMap(\.self)
    }
    return min(moments.filter { $0 > now }.min() ?? now + Self.longestLook, now + Self.longestLook)
  }

  private func lastAnswer(at address: NetworkAddress, now: Instant) -> MachineID? {
    guard let last = answers[address], now - last.at < Self.answerLife else { return nil }
    return last.machine
  }

  mutating func began(_ address: NetworkAddress, now: Instant) {
    attempts[address, default: Attempts(notBefore: now)].diallingSince = now
  }

  /// A member answered: the one that is connected now, or one that is already, or another than was expected.
  mutating func answered(_ address: NetworkAddress, by machine: MachineID, now: Instant) {
    answers[address] = (machine, now)
    attempts[address] = Attempts(notBefore: now + Self.shortestWait)
  }

  mutating func failed(_ address: NetworkAddress, isStranger: Bool, now: Instant) {
    if isStranger { answers[address] = nil }
    let failures = (attempts[address]?.failures ?? 0) + 1
    let factor = 1 << min(failures - 1, 6)
    let wait = isStranger ? Self.longestWait : min(Self.shortestWait * factor, Self.longestWait)
    attempts[address] = Attempts(failures: failures, notBefore: now + wait)
  }

  var dialling: Bool { attempts.values.contains(where: \.isDialling) }
}
