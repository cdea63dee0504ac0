package import MantelCore

/// What machines claimed to hold, and did not show when they were asked.
struct Challenging: Sendable {
  /// How a machine failed: it has other bytes than it claims, or it has answered nothing that proves any, again and again.
  enum Failure: UInt8, Comparable, Sendable {
    case unproven = 0
    case refuted = 1

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  }

  /// Why nothing that a machine says counts.
  struct Doubt: Hashable, Sendable {
    /// What it has to show, or to take back.
    var contents: [ContentID: Failure] = [:]
    /// It has taken back what it was refuted by. One who lied is not believed in the rest before it has shown some of it.
    var owesAny = false

    var isOver: Bool { contents.isEmpty && !owesAny }
  }

  /// What a machine was asked for last in vain: it is asked for that again.
  private struct Evasion: Sendable {
    var content: ContentID
    var times: Int
    /// When it evaded first.
    var since: AgentTime
  }

  /// While there is one of a machine, none of its attestations counts. Kept in the catalog: a restart forgives nobody.
  private(set) var doubts: [MachineID: Doubt] = [:]
  private var evasions: [MachineID: Evasion] = [:]

  /// Contents kept for one machine; one is enough for its claims to be void.
  private static let keptContents = 64
  /// Once may be a disk that is busy, or a file that has just moved.
  private static let evasionsAllowed = 2

  func isBelieved(_ machine: MachineID) -> Bool { doubts[machine] == nil }

  /// The worst that is known of a machine; nil while it is believed.
  func failure(of machine: MachineID) -> Failure? {
    guard let doubt = doubts[machine] else { return nil }
    return doubt.owesAny ? .refuted : doubt.contents.values.max()
  }

  func isRefuted(_ machine: MachineID, by content: ContentID) -> Bool {
    doubts[machine]?.contents[content] == .refuted
  }

  mutating func fail(_ machine: MachineID, _ content: ContentID, _ failure: Failure) {
    var doubt = doubts[machine] ?? Doubt()
    if doubt.contents.count < Self.keptContents || doubt.contents[content] != nil {
      doubt.contents[content] = max(failure, doubt.contents[content] ?? failure)
    }
    doubts[machine] = doubt
  }

  /// The machine has shown a content.
  mutating func show(_ machine: MachineID, _ content: ContentID) {
    if evasions[machine]?.content == content { evasions[machine] = nil }
    guard var doubt = doubts[machine] else { return }
    doubt.contents[content] = nil
    doubt.owesAny = false
    doubts[machine] = doubt.isOver ? nil : doubt
  }

  /// Whether this is one evasion too many: of one content in a row, the last of them as long after the first as the patience is.
  /// The time counts too, because a connection that comes and goes is asked soon each time.
  mutating func evade(
    _ machine: MachineID, _ content: ContentID, at time: AgentTime, patience: Duration
  ) -> Bool {
    var evasion = Evasion(content: content, times: 0, since: time)
    if let last = evasions[machine], last.content == content { evasion = last }
    evasion.times += 1
    evasions[machine] = evasion
    return evasion.times > Self.evasionsAllowed && time - evasion.since >= patience
  }

  /// Claims that were taken back, or that nobody asks for any more.
  mutating func absolve(_ machine: MachineID, of settled: Set<ContentID>) {
    if let content = evasions[machine]?.content, settled.contains(content) { evasions[machine] = nil }
    guard var doubt = doubts[machine] else { return }
    if doubt.contents.contains(where: { settled.contains($0.key) && $0.value == .refuted }) {
      doubt.owesAny = true
    }
    doubt.contents = doubt.contents.filter { !settled.contains($0.key) }
    doubts[machine] = doubt.isOver ? nil : doubt
  }

  /// It claims nothing that this machine could ask it for: nothing more can come of it.
  mutating func forgive(_ machine: MachineID) {
    guard var doubt = doubts[machine] else { return }
    doubt.owesAny = false
    doubts[machine] = doubt.isOver ? nil : doubt
  }

  /// What a machine has to show before anything else is asked of it.
  func owed(by machine: MachineID) -> Set<ContentID> {
    Set(doubts[machine]?.contents.keys.map(\.self) ?? []).union(
      evasions[machine].map { [$0.content] } ?? [])
  }
}

// In the catalog: 65 bytes each, machine 32 | content 32 | 0 unproven, 1 refuted, 2 owes any content (then the content is zero).
extension Challenging {
  private static let recordBytes = 65
  private static let owesAnyMark: UInt8 = 2

  init(encoded bytes: [UInt8], isMember: (MachineID) -> Bool) {
    for start in stride(from: 0, through: bytes.count - Self.recordBytes, by: Self.recordBytes) {
      guard let machine = MachineID(bytes[start..<start + 32]),
        let content = ContentID(bytes[start + 32..<start + 64]), isMember(machine)
      else { continue }
      let mark = bytes[start + 64]
      if mark == Self.owesAnyMark {
        doubts[machine, default: Doubt()].owesAny = true
      } else if let failure = Failure(rawValue: mark) {
        doubts[machine, default: Doubt()].contents[content] = failure
      }
    }
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for (machine, doubt) in doubts.sorted(by: { $0.key < $1.key }) {
      for (content, failure) in doubt.contents.sorted(by: { $0.key < $1.key }) {
        bytes += machine.bytes
        bytes += content.bytes
        bytes.append(failure.rawValue)
      }
      guard doubt.owesAny else { continue }
      bytes += machine.bytes
      bytes += Digest256.zero.bytes
      bytes.append(Self.owesAnyMark)
    }
    return bytes
  }
}

/// The challenges of one link.
struct LinkChallenges: Sendable {
  /// When the next one is due; nil while one is under way.
  var due: Instant?
  var answer: Digest256?
  /// Of a large content only the range was read here: if the peer answers otherwise, it may be the file here that is bad.
  var isRangeOnly = false
  /// Such an answer, while the whole file here is read.
  var disputed: Digest256?
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
