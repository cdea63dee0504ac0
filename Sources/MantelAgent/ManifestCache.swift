import MantelCore
import MantelWire
import Synchronization

/// What came of a pass for a content's manifest.
enum FoundManifest: Hashable, Sendable {
  case bytes([UInt8])
  case refused(Outcome)
}

/// Manifests of large contents that were asked for lately: a few, because each costs a pass over its file.
///
/// One pass at a time, in the order in which they were asked for: what members ask must not take all the threads that hash own
/// files. Whoever asks for one that is being made waits for the same pass. Who waits is bounded by the questions that
/// members may have open.
final class ManifestCache: Sendable {
  typealias Finding = Task<FoundManifest, any Error>

  private struct State {
    var known: [(content: ContentID, bytes: [UInt8])] = []
    /// Those that are being made, or wait for their turn.
    var making: [ContentID: Finding] = [:]
    /// The one that the next has to wait for.
    var last: Finding?
  }

  static let limit = 8
  private let state = Mutex(State())

  /// `pass` is called unless the manifest is known, or on its way. What it refuses or throws is not remembered.
  func find(
    _ content: ContentID, pass: @escaping @Sendable () async throws -> FoundManifest
  ) -> Finding {
    state.withLock { state in
      if let known = state.known.first(where: { $0.content == content }) {
        let bytes = known.bytes
        return Finding { .bytes(bytes) }
      }
      if let finding = state.making[content] { return finding }
      let previous = state.last
      let finding = Finding { [self] in
        _ = await previous?.result
        do {
          let found = try await pass()
          ended(content, found)
          return found
        } catch {
          ended(content, nil)
          throw error
        }
      }
      state.making[content] = finding
      state.last = finding
      return finding
    }
  }

  private func ended(_ content: ContentID, _ found: FoundManifest?) {
    state.withLock { state in
      state.making[content] = nil
      if state.making.isEmpty { state.last = nil }
      guard case .bytes(let bytes) = found else { return }
      state.known.append((content, bytes))
      if state.known.count > Self.limit { state.known.removeFirst() }
    }
  }
}
