package import MantelCore

/// What machines claimed to hold, and did not show when they were asked.
struct Challenging: Sendable {
  /// How a machine failed: it has other bytes than it claims, or it has answered nothing that proves any, again and again.
  enum Failure: Int, Comparable, Sendable {
    case unproven
    case refuted

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  }

  /// Contents of each machine; while there are any, none of its attestations counts.
  private(set) var failures: [MachineID: [ContentID: Failure]] = [:]
  /// What a machine was asked for last in vain, and how often: it is asked for that again.
  private var evaded: [MachineID: (content: ContentID, times: Int)] = [:]

  /// Contents kept for one machine; one is enough for its claims to be void.
  private static let keptContents = 64
  /// Once may be a disk that is busy, or a file that has just moved.
  private static let evasions = 3

  func isBelieved(_ machine: MachineID) -> Bool { failures[machine] == nil }

  /// The worst that is known of a machine; nil while it is believed.
  func failure(of machine: MachineID) -> Failure? { failures[machine]?.values.max() }

  /// Returns whether this is news of a machine that was believed.
  mutating func fail(_ machine: MachineID, _ content: ContentID, _ failure: Failure) -> Bool {
    let isNews = failures[machine] == nil
    if failures[machine, default: [:]].count < Self.keptContents || failures[machine]?[content] != nil {
      failures[machine, default: [:]][content] = max(failure, failures[machine]?[content] ?? failure)
    }
    return isNews
  }

  /// The machine has shown a content. Returns whether it is believed again.
  mutating func show(_ machine: MachineID, _ content: ContentID) -> Bool {
    if evaded[machine]?.content == content { evaded[machine] = nil }
    return absolve(machine, of: [content])
  }

  /// Whether this is one evasion too many.
  mutating func evade(_ machine: MachineID, _ content: ContentID) -> Bool {
    let times = (evaded[machine].map { $0.content == content ? $0.times : 0 } ?? 0) + 1
    evaded[machine] = (content, times)
    return times >= Self.evasions
  }

  /// Claims that were taken back, or that nobody asks for any more. Returns whether the machine is believed again.
  mutating func absolve(_ machine: MachineID, of settled: Set<ContentID>) -> Bool {
    if let content = evaded[machine]?.content, settled.contains(content) { evaded[machine] = nil }
    guard let contents = failures[machine] else { return false }
    let left = contents.filter { !settled.contains($0.key) }
    failures[machine] = left.isEmpty ? nil : left
    return left.isEmpty
  }

  /// What a machine has to show before anything else is asked of it.
  func owed(by machine: MachineID) -> Set<ContentID> {
    Set(failures[machine]?.keys.map(\.self) ?? []).union(evaded[machine].map { [$0.content] } ?? [])
  }
}

/// The challenges of one link.
struct LinkChallenges: Sendable {
  /// When the next one is due; nil while one is under way.
  var due: Instant?
  var answer: Digest256?
}

/// Random bytes for one challenge: which content, which part of it, and the nonce.
package struct ChallengeDraw: Hashable, Sendable {
  package var position: Digest256
  package var part: UInt64
  package var nonce: [UInt8]

  package init(position: Digest256, part: UInt64, nonce: [UInt8]) {
    self.position = position
    self.part = part
    self.nonce = nonce
  }
}
