import Foundation
import MantelFuzzing
import MantelTestSupport
import Testing

/// Every saved input goes through its target again: what the fuzzer once found, a choice of what it kept because it reached
/// something new, and what its search began with.
@Suite struct CorpusTests {
  private static let corpus = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Corpus")

  private static func inputs(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
    let seeds = target.seeds.enumerated().map { (name: "seed \($0.offset)", bytes: $0.element) }
    let text = try String(contentsOf: corpus.appending(path: "\(target.rawValue).hex"), encoding: .utf8)
    let saved = try #require(
      FuzzTarget.inputs(hex: text), "the saved inputs of \(target) are not hexadecimal")
    try #require(!saved.isEmpty, "no saved inputs of \(target)")
    let chosen = saved.enumerated().map { (name: "line \($0.offset + 1)", bytes: $0.element) }
    let directory = corpus.appending(path: target.rawValue)
    guard FileManager.default.fileExists(atPath: directory.path) else { return seeds + chosen }
    return try seeds + chosen
      + FileManager.default.contentsOfDirectory(atPath: directory.path).sorted().map {
        ($0, Array(try Data(contentsOf: directory.appending(path: $0))))
      }
  }

  @Test(arguments: FuzzTarget.allCases) func savedInputsPass(target: FuzzTarget) throws {
    for (name, bytes) in try Self.inputs(of: target) {
      #expect(throws: Never.self, "\(target)/\(name)") { try target.run(bytes) }
    }
  }

  /// A short search without coverage: saved inputs with a few bytes changed, cut, repeated and joined.
  @Test(arguments: FuzzTarget.allCases) func changedInputsPass(target: FuzzTarget) throws {
    let inputs = try Self.inputs(of: target).map(\.bytes)
    var random = SeededGenerator(seed: 1)
    for number in 0..<300 {
      guard var input = random.element(of: inputs) else { return }
      for _ in 0...random.below(4) where !input.isEmpty {
        let place = random.below(input.count)
        switch random.below(5) {
        case 0: input[place] = UInt8(random.below(256))
        case 1: input[place] ^= 1 << UInt8(random.below(8))
        case 2: input.removeSubrange(place..<min(input.count, place + random.below(9)))
        case 3: input.insert(contentsOf: input[place..<min(input.count, place + random.below(9))], at: place)
        default: input = Array(input[..<place]) + (random.element(of: inputs) ?? [])
        }
      }
      #expect(throws: Never.self, "\(target), input \(number): \(input)") { try target.run(input) }
    }
  }
}
