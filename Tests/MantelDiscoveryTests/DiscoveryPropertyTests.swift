import MantelCore
import Testing

@testable import MantelDiscovery

/// Whatever Avahi and the network say, in whatever order: nothing spins, nothing grows, the reader ends up right.
@Suite struct DiscoveryPropertyTests {
  /// A generator that gives the same numbers for the same seed (SplitMix64).
  private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return mixed ^ (mixed >> 31)
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func anyOrderOfInputsStaysBoundedAndMovesOn(seed: UInt64) throws {
    var random = Seeded(state: seed)
    let driver = DiscoveryDriver.running()
    var queue = EventQueue()
    var open: Set<SightingKey> = []
    var told: [String: DiscoveredService] = [:]
    for _ in 0..<1_000 {
      let input = Self.input(&random, open: open)
      if case .resolved(let key, _) = input { open.remove(key) }
      if case .unresolved(let key) = input { open.remove(key) }
      for action in driver.feed(input, after: .milliseconds(Int64.random(in: 0..<3_000, using: &random))) {
        switch action {
        case .resolve(let key): #expect(open.insert(key).inserted, "one resolver for a sighting")
        case .freeResolver(let key): open.remove(key)
        case .freeClient: open = []
        case .tell(let event): queue.push(event)
        default: break
        }
      }
      #expect(open.count <= DiscoveryLimits.openResolvers)
      #expect(
        driver.core.nextDeadline.map { $0 > driver.now } ?? true, "a deadline that stays due is a busy loop")
      if Int.random(in: 0..<10, using: &random) == 0 { Self.read(&queue, into: &told) }
    }
    Self.read(&queue, into: &told)
    // Everybody leaves: the reader must have heard it.
    _ = driver.feed(.clientFailed(reason: "end")).events.map { queue.push($0) }
    for _ in 0..<20 {
      guard let (_, actions) = driver.feedDeadline() else { break }
      for event in actions.events { queue.push(event) }
      if actions.contains(.createClient) { _ = driver.feed(.clientFailed(reason: "end")) }
    }
    Self.read(&queue, into: &told)
    #expect(told.isEmpty)
  }

  private static func read(_ queue: inout EventQueue, into told: inout [String: DiscoveredService]) {
    while let event = queue.pop() {
      switch event {
      case .found(let service):
        #expect(told[service.instance] != service, "no news twice")
        #expect(!service.addresses.isEmpty && service.addresses.count <= DiscoveryLimits.addresses)
        told[service.instance] = service
      case .lost(let instance):
        #expect(told.removeValue(forKey: instance) != nil, "only what was found is lost")
      case .daemon: break
      }
    }
  }

  private static func input(_ random: inout Seeded, open: Set<SightingKey>) -> DiscoveryInput {
    let key = SightingKey.on(
      Int32.random(in: 1...3, using: &random), ipv6: Bool.random(using: &random),
      "i\(Int.random(in: 0..<40, using: &random))")
    let kind = ServiceKind.allCases.randomElement(using: &random) ?? .agents
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<40: return .seen(key, kind: kind, isOurs: Int.random(in: 0..<10, using: &random) == 0)
    case 40..<55: return .vanished(kind, key)
    case 55..<75:
      let resolving = open.sorted { "\($0)" < "\($1)" }.randomElement(using: &random) ?? key
      return .resolved(
        resolving, resolving.isIPv6 ? .linkLocal : .ipv4(UInt8.random(in: 1...20, using: &random)))
    case 75..<80: return .unresolved(key)
    case 80..<82: return .clientFailed(reason: "restart")
    case 82..<84: return .clientConnecting
    case 84..<90: return .daemonRunning
    case 90: return .daemonRegistering
    case 91: return .groupCollided
    case 92: return .groupEstablished
    case 93: return .groupRefused(reason: "no")
    case 94: return .settled(kind)
    case 95: return .browserFailed(kind, reason: "no")
    case 96: return .resumed
    case 97: return .wanted(nil)
    default:
      return .wanted(
        Advertisement(instance: "me", port: 1, txt: [:], isInviting: Bool.random(using: &random)))
    }
  }
}
