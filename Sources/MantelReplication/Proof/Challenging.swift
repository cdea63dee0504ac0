package import MantelCore

/// What machines claimed to hold, and could not show when they were asked.
struct Challenging: Sendable {
  /// Contents of each machine; while there are any, none of its attestations counts.
  private(set) var refuted: [MachineID: Set<ContentID>] = [:]
  /// Challenges in a row that a machine evaded: busy, failed, given up.
  private var evaded: [MachineID: Int] = [:]

  /// Contents kept for one machine; one is enough for its claims to be void.
  private static let keptContents = 64
  /// Once may be a disk that is busy.
  private static let evasions = 3

  func isBelieved(_ machine: MachineID) -> Bool { refuted[machine] == nil }

  /// Returns whether this is news of a machine that was believed.
  mutating func refute(_ machine: MachineID, _ content: ContentID) -> Bool {
    defer {
      if refuted[machine, default: []].count < Self.keptContents {
        refuted[machine, default: []].insert(content)
      }
    }
    return refuted[machine] == nil
  }

  /// The machine has shown a content. Returns whether it is believed again.
  mutating func show(_ machine: MachineID, _ content: ContentID) -> Bool {
    evaded[machine] = nil
    return absolve(machine, of: [content])
  }

  /// Whether this is one evasion too many.
  mutating func evade(_ machine: MachineID) -> Bool {
    evaded[machine, default: 0] += 1
    return evaded[machine, default: 0] >= Self.evasions
  }

  /// Claims that were taken back, or that nobody asks for any more. Returns whether the machine is believed again.
  mutating func absolve(_ machine: MachineID, of settled: Set<ContentID>) -> Bool {
    guard let contents = refuted[machine] else { return false }
    let left = contents.subtracting(settled)
    refuted[machine] = left.isEmpty ? nil : left
    return left.isEmpty
  }

  func contents(of machine: MachineID) -> Set<ContentID> { refuted[machine] ?? [] }
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
