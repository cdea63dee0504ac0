/// Something that takes bytes from outside, and what has to be true of it whatever they are.
///
/// A target traps (a crash that the fuzzer keeps the input of) or throws `FuzzFailure`. Targets keep nothing between two
/// calls, so that an input fails again by itself.
package enum FuzzTarget: String, CaseIterable, Sendable {
  /// Frames off the front of received bytes.
  case frames
  /// A session after a valid hello: any frames, answers of the store, commands and passing of time.
  case session
  /// Roster statements: raw ones, and signed histories by members, former members and strangers.
  case roster
  case heads
  case manifests
  /// The descent of a comparison, as either side of it.
  case descent
  /// Paths, their escaped names, and glob patterns over them.
  case paths
  /// Invite codes as people type them, and the messages of joining.
  case joining
  /// Attestations and the other signed records, whole and in pieces.
  case attestations

  package func run(_ input: [UInt8]) throws {
    switch self {
    case .frames: try fuzzFrames(input)
    case .session: try fuzzSession(input)
    case .roster: try fuzzRoster(input)
    case .heads: try fuzzHeads(input)
    case .manifests: try fuzzManifests(input)
    case .descent: try fuzzDescent(input)
    case .paths: try fuzzPaths(input)
    case .joining: try fuzzJoining(input)
    case .attestations: try fuzzAttestations(input)
    }
  }
}

extension FuzzTarget {
  /// Saved inputs: one a line, in hexadecimal. Nil for any other text.
  package static func inputs(hex text: String) -> [[UInt8]]? {
    var inputs: [[UInt8]] = []
    for line in text.split(separator: "\n") {
      let digits = line.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue.map(UInt8.init) }
      guard digits.count == line.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
      inputs.append(stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }
    return inputs
  }
}

/// Something that must be true of every input is not.
package struct FuzzFailure: Error, CustomStringConvertible {
  package var description: String
}

func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw FuzzFailure(description: message()) }
}

/// Takes an input apart: small numbers that choose, and runs of bytes.
struct InputReader {
  private let bytes: [UInt8]
  private var at = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { at >= bytes.count }

  /// 0 at the end.
  mutating func byte() -> UInt8 {
    guard at < bytes.count else { return 0 }
    defer { at += 1 }
    return bytes[at]
  }

  mutating func below(_ bound: Int) -> Int { Int(byte()) % bound }

  mutating func number() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }

  /// Up to `count` bytes.
  mutating func run(_ count: Int) -> [UInt8] {
    let end = min(bytes.count, at + count)
    defer { at = end }
    return Array(bytes[at..<end])
  }

  mutating func rest() -> [UInt8] { run(bytes.count) }
}
