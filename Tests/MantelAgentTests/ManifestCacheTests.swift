import MantelCore
import MantelTransport
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

  /// Ends everybody's when the test says so.
  private final class Patience: Sendable {
    let isOver = Mutex(false)

    func waitOut() async {
      while !isOver.withLock({ $0 }), !Task.isCancelled { await Task.yield() }
    }
  }

  private let cache = ManifestCache()
  private let passes = Passes()
  private let anna = SessionID(number: 1)
  private let ben = SessionID(number: 2)

  private func film(_ number: UInt64) -> ContentID { ContentID(Digest256(number, 0, 0, 0)) }

  /// Asks, with a pass that ends in `found`, or throws.
  private func find(_ number: UInt64, _ found: FoundManifest?) -> ManifestCache.Finding {
    find(number, found, for: anna, in: cache)
  }

  private func find(
    _ number: UInt64, _ found: FoundManifest?, for session: SessionID, in cache: ManifestCache
  ) -> ManifestCache.Finding {
    let content = film(number)
    return cache.find(content, for: session) { [passes] in
      await passes.pass(content)
      guard let found else { throw PassFailed() }
      return found
    }
  }

  @Test func whoAsksMeanwhileWaitsForTheSamePass() async throws {
    let (gate, opener) = AsyncStream<Void>.makeStream()
    let content = film(1)
    let first = cache.find(content, for: anna) { [passes] in
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

  @Test func fewLargeOnesAreRemembered() async throws {
    let large = [UInt8](repeating: 1, count: ManifestCache.limitBytes / 2)
    for number in UInt64(1)...3 { _ = try await find(number, .bytes(large)).value }
    #expect(try await find(2, .bytes([2])).value == .bytes(large))
    #expect(try await find(1, .bytes([2])).value == .bytes([2]))
  }

  /// A pass that goes on until the test ends it.
  private func hold(
    _ number: UInt64, in cache: ManifestCache
  ) -> (finding: ManifestCache.Finding, opener: AsyncStream<Void>.Continuation) {
    let (gate, opener) = AsyncStream<Void>.makeStream()
    let finding = cache.find(film(number), for: anna) {
      for await _ in gate {}
      return .bytes([UInt8(number)])
    }
    return (finding, opener)
  }

  @Test func sessionsTakeTurns() async throws {
    let first = hold(1, in: cache)
    let more = [2, 3, 4].map { find($0, .bytes([1])) }
    // One of them is also anna's last.
    let others = [5, 4].map { find($0, .bytes([2]), for: ben, in: cache) }
    first.opener.finish()
    for finding in more + others { _ = try await finding.value }
    #expect(passes.begun == [2, 5, 3, 4].map(film))
    // Once for both.
    #expect(try await others[1].value == .bytes([1]))
  }

  @Test func oneSessionHasFewThatWait() async throws {
    let first = hold(1, in: cache)
    let count = UInt64(ManifestCache.waitingAtMost)
    let waiting = (2...(count + 1)).map { find($0, .bytes([1])) }
    #expect(try await find(count + 2, .bytes([1])).value == .refused(.busy))
    // Nor is it another's fault.
    let other = find(count + 2, .bytes([2]), for: ben, in: cache)
    first.opener.finish()
    for finding in waiting { #expect(try await finding.value == .bytes([1])) }
    #expect(try await other.value == .bytes([2]))
  }

  @Test func nobodyWaitsForTooLong() async throws {
    let patience = Patience()
    let cache = ManifestCache { await patience.waitOut() }
    let first = hold(1, in: cache)
    let waiting = find(2, .bytes([2]), for: ben, in: cache)
    patience.isOver.withLock { $0 = true }
    #expect(try await first.finding.value == .refused(.busy))
    #expect(try await waiting.value == .refused(.busy))
    patience.isOver.withLock { $0 = false }
    // The pass went on, and is not made again.
    first.opener.finish()
    #expect(try await find(1, .bytes([3]), for: ben, in: cache).value == .bytes([1]))
    // Who lost the turn has it when it asks again.
    #expect(passes.begun.isEmpty)
    #expect(try await find(2, .bytes([4]), for: ben, in: cache).value == .bytes([4]))
  }
}
