import NIOCore
import Synchronization

/// How a dial ended; told once, to the task that dialled.
final class DialOutcome<Value: Sendable>: Sendable {
  private typealias Waiter = CheckedContinuation<Result<Value, TransportError>, Never>

  private struct State {
    var result: Result<Value, TransportError>?
    /// Ends the connection in the state that it has reached.
    var end: (@Sendable (TransportError) -> Void)?
    var hasOwner = false
    var waiter: Waiter?
  }

  private let state = Mutex(State())

  /// The first result counts. A failure ends the connection.
  func complete(_ result: Result<Value, TransportError>) {
    conclude(result, endsConnection: true)
  }

  /// The dial failed because its connection is ending by itself, and may still have frames to send.
  func ended(_ error: TransportError) {
    conclude(.failure(error), endsConnection: false)
  }

  private func conclude(_ result: Result<Value, TransportError>, endsConnection: Bool) {
    let (waiter, end) = state.withLock { state -> (Waiter?, (@Sendable (TransportError) -> Void)?) in
      guard state.result == nil else { return (nil, nil) }
      state.result = result
      defer {
        state.waiter = nil
        state.end = nil
      }
      return (state.waiter, endsConnection ? state.end : nil)
    }
    if case .failure(let error) = result { end?(error) }
    waiter?.resume(returning: result)
  }

  /// The connection came about. One whose dial has failed already is closed.
  func attach(_ channel: any Channel) {
    attach(isOwner: false) { _ in channel.close(promise: nil) }
  }

  /// From now on the connection is ended by its owner, in the owner's way; at once, if the dial has failed already.
  func attach(owner end: @escaping @Sendable (TransportError) -> Void) {
    attach(isOwner: true, end)
  }

  private func attach(isOwner: Bool, _ end: @escaping @Sendable (TransportError) -> Void) {
    let failure = state.withLock { state -> TransportError? in
      guard isOwner || !state.hasOwner else { return nil }
      state.hasOwner = isOwner
      switch state.result {
      case .failure(let error): return error
      case .success: return nil
      case nil:
        state.end = end
        return nil
      }
    }
    if let failure { end(failure) }
  }

  func wait() async -> Result<Value, TransportError> {
    await withCheckedContinuation { continuation in
      let result = state.withLock { state in
        if state.result == nil { state.waiter = continuation }
        return state.result
      }
      if let result { continuation.resume(returning: result) }
    }
  }
}
