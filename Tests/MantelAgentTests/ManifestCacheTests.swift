import MantelCore
import MantelWire
import Synchronization
import Testing

@testable import MantelAgent

/// How often, and how many at once, files are read for manifests.
@Suite(.timeLimit(.minutes(1))) struct ManifestCacheTests {
  private struct PassFailed: Error {}

  private final class Passes: Sendable {
    private struct State {
      var begun: [ContentID] = []
      var running = 0
      var most = 0
    }
    private let state = Mutex(State())

    var begun: [ContentID] { state.withLock { $0.begun } }
    /// How many ran at once.
    var most: Int { state.withLock { $0.most } }

    func pass(_ content: ContentID) async {
      state.withLock { state in
        state.begun.append(content)
        state.running += 1
        state.most = max(state.most, state.running)
      }
      // Whoever does not wait begins now.
      for _ in 0..<100 { await Task.yield() }
      state.withLock { $0.running -= 1 }
    }
  }

  private let cache = ManifestCache()
  private let passes = Passes()

  private func film(_ number: UInt64) -> ContentID { ContentID(Digest256(number, 0, 0, 0)) }

  /// Asks, with a pass that ends in `found`, or throws.
  private func find(_ number: UInt64, _ found: FoundManifest?) -> ManifestCache.Finding {
    let content = film(number)
    return cache.find(content) { [passes] in
      await passes.pass(content)
      guard let found else { throw PassFailed() }
      return found
    }
  }

  @Test func whoAsksMeanwhileWaitsForTheSamePass() async throws {
    let (gate, opener) = AsyncStream<Void>.makeStream()
    let content = film(1)
    let first = cache.find(content) { [passes] in
      for await _ in gate {}
      await passes.pass(content)
      return .refused(.changed)
    }
    // Asked for while the first is still kept from reading.
    let second = find(1, .bytes([1]))
    opener.finish()
    #expect(try await first.value == .refused(.changed))
    #expect(try await second.value == .refused(.changed))
    #expect(passes.begun == [content])
    // A refusal is not remembered; bytes are.
    #expect(try await find(1, .bytes([1])).value == .bytes([1]))
    #expect(try await find(1, .bytes([2])).value == .bytes([1]))
    #expect(passes.begun == [content, content])
  }

  @Test func onePassAtATimeInTheirOrder() async throws {
    let numbers = Array(UInt64(1)...6)
    let findings = numbers.map { find($0, .bytes([UInt8($0)])) }
    for (finding, number) in zip(findings, numbers) {
      #expect(try await finding.value == .bytes([UInt8(number)]))
    }
    #expect(passes.most == 1)
    #expect(passes.begun == numbers.map(film))
  }

  @Test func aPassThatFailsHoldsUpNobody() async throws {
    let failing = find(1, nil)
    let next = find(2, .bytes([2]))
    await #expect(throws: PassFailed.self) { try await failing.value }
    #expect(try await next.value == .bytes([2]))
    #expect(try await find(1, .bytes([1])).value == .bytes([1]))
  }

  @Test func aFewAreRemembered() async throws {
    let count = UInt64(ManifestCache.limit) + 1
    for number in 1...count { _ = try await find(number, .bytes([1])).value }
    #expect(try await find(count, .bytes([2])).value == .bytes([1]))
    #expect(try await find(1, .bytes([2])).value == .bytes([2]))
  }
}
