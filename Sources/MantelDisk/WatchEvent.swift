package import MantelCore
import Synchronization

/// Something happened to a path of a watched folder; look at it to see what.
package struct WatchEvent: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// A writer closed the file, or it was moved here whole: it may be hashed now.
    case settled
    /// Made, written to, or its times, mode or links changed; or it was in a new directory before its watch was.
    case changed
    /// The file is not at this path any more.
    case gone
    /// A directory is there now and watched. Events for the files that it already had follow.
    case directoryAppeared
    /// A directory and all below it is not at this path any more (removed, moved or unmounted).
    case directoryGone
    /// Events were lost: look through the whole folder.
    case overflow
    /// The folder itself was moved, removed or unmounted; it is not watched any more.
    case rootGone
    /// Some or all directories cannot be watched (`ENOSPC`: the system's watch limit; `EREMOTE`: not a local
    /// filesystem, changes made elsewhere do not show). Said once for a folder.
    case noWatches(errno: Int32)
  }
  package var folder: FolderID
  /// Bytes below the folder's root; empty where the folder itself is meant.
  package var path: [UInt8]
  package var kind: Kind

  package init(folder: FolderID, path: [UInt8], kind: Kind) {
    self.folder = folder
    self.path = path
    self.kind = kind
  }
}

/// A bounded queue between the watching thread and its reader. When it is full, what comes is dropped and the folder
/// gets one overflow event, which overtakes everything.
final class WatchQueue: Sendable {
  private struct State {
    var events: [WatchEvent] = []
    var start = 0
    var overflowed: [FolderID] = []
    /// `changed` events that wait: a file that is being written makes thousands.
    var waitingChanges: Set<WatchEvent> = []
    var reader: CheckedContinuation<WatchEvent?, Never>?
    var isClosed = false

    mutating func next() -> WatchEvent? {
      if !overflowed.isEmpty {
        return WatchEvent(folder: overflowed.removeFirst(), path: [], kind: .overflow)
      }
      guard start < events.count else { return nil }
      let event = events[start]
      start += 1
      if start == events.count || start >= 1_024 {
        events.removeFirst(start)
        start = 0
      }
      if event.kind == .changed { waitingChanges.remove(event) }
      return event
    }
  }

  private let capacity: Int
  private let state = Mutex(State())

  init(capacity: Int) { self.capacity = capacity }

  func push(_ event: WatchEvent) {
    let handover: (CheckedContinuation<WatchEvent?, Never>, WatchEvent)? = state.withLock { state in
      if state.isClosed { return nil }
      if event.kind == .overflow || state.events.count - state.start >= capacity {
        if !state.overflowed.contains(event.folder) { state.overflowed.append(event.folder) }
      } else {
        if event.kind == .changed, !state.waitingChanges.insert(event).inserted { return nil }
        state.events.append(event)
      }
      guard let reader = state.reader, let next = state.next() else { return nil }
      state.reader = nil
      return (reader, next)
    }
    if let (reader, next) = handover { reader.resume(returning: next) }
  }

  /// The next event; nil once closed. One reader at a time: a second one ends the first.
  func next() async -> WatchEvent? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (ready, former): (WatchEvent??, CheckedContinuation<WatchEvent?, Never>?) = state.withLock {
          state in
          if let event = state.next() { return (.some(event), nil) }
          if state.isClosed || Task.isCancelled { return (.some(nil), nil) }
          defer { state.reader = continuation }
          return (nil, state.reader)
        }
        former?.resume(returning: nil)
        if let ready { continuation.resume(returning: ready) }
      }
    } onCancel: {
      let reader = state.withLock { $0.reader.take() }
      reader?.resume(returning: nil)
    }
  }

  /// What waits is still read; then the end.
  func close() {
    let reader = state.withLock { state in
      state.isClosed = true
      return state.reader.take()
    }
    reader?.resume(returning: nil)
  }
}
