import NIOCore
import Synchronization

/// How a dial ended; told once, to the task that dialled.
final class DialOutcome<Value: Sendable>: Sendable {
  private typealias Waiter = CheckedContinuation<Result<Value, TransportError>, Never>

  private struct State {
    var result: Result<Value, TransportError>?
    var channel: (any Channel)?
    var waiter: Waiter?
  }

  private let state = Mutex(State())

  /// The first result counts. A failure closes the connection, in whatever state it is.
  func complete(_ result: Result<Value, TransportError>) {
    let (waiter, channel) = state.withLock { state -> (Waiter?, (any Channel)?) in
      guard state.result == nil else { return (nil, nil) }
      state.result = result
      defer { state.waiter = nil }
      if case .failure = result { return (state.waiter, state.channel) }
      return (state.waiter, nil)
    }
    channel?.close(promise: nil)
    waiter?.resume(returning: result)
  }

  /// The connection came about. One whose dial has failed already is closed.
  func attach(_ channel: any Channel) {
    let isWanted = state.withLock { state in
      state.channel = channel
      if case .failure = state.result { return false }
      return true
    }
    if !isWanted { channel.close(promise: nil) }
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
