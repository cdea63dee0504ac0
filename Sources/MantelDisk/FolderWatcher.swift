import CMantelSystem
import Glibc
package import MantelCore
import Synchronization

/// Watches folders for changes by inotify, on a thread of its own, at any depth.
///
/// Directories that `FolderWalker` would not enter are not watched. Events may be more than happened, or late, but
/// what happened to a watched path never goes without one: lost events come as `.overflow`.
package final class FolderWatcher: Sendable {
  enum Command: Sendable {
    case watch(Folder, ownPaths: [[UInt8]], done: CheckedContinuation<Void, Never>)
    case unwatch(FolderID)
  }
  struct Inbox {
    var commands: [Command] = []
    var isClosed = false
  }
  /// What the thread and its owner share; it outlives whichever ends first.
  final class Shared: Sendable {
    let inbox = Mutex(Inbox())
    let queue: WatchQueue
    let wake: OpenFile
    init(queue: WatchQueue, wake: OpenFile) {
      self.queue = queue
      self.wake = wake
    }

    func send(_ command: Command?) -> Bool {
      let isTaken = inbox.withLock {
        if $0.isClosed { return false }
        if let command { $0.commands.append(command) } else { $0.isClosed = true }
        return true
      }
      var one: UInt64 = 1
      // A full counter has woken the thread already.
      if isTaken { _ = write(wake.descriptor, &one, 8) }
      return isTaken
    }
  }

  /// Events that wait for the reader; more become one overflow a folder.
  package static let queueLimit = 16_384

  private let shared: Shared
  private let thread: Mutex<WorkerThread?>

  /// Starts the thread. Throws when the system has no inotify instance (or thread) left: then rescan.
  package init(queueLimit: Int = FolderWatcher.queueLimit) throws(DiskError) {
    let notifier = result { inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK)) }
    guard notifier >= 0 else { throw DiskError(call: notifier, path: [], operation: "inotify") }
    let inotify = OpenFile(Int32(notifier))
    let wake = Int(mantel_event_counter())
    guard wake >= 0 else { throw DiskError(call: wake, path: [], operation: "eventfd") }
    let shared = Shared(queue: WatchQueue(capacity: queueLimit), wake: OpenFile(Int32(wake)))
    self.shared = shared
    guard
      let worker = WorkerThread({
        var loop = WatchLoop(shared: shared, inotify: inotify)
        loop.run()
      })
    else { throw DiskError(.other, errno: EAGAIN, path: [], operation: "start thread") }
    thread = Mutex(worker)
  }

  deinit { close() }

  /// What happens in the folders, until `close`. For one reader.
  package var events: AsyncStream<WatchEvent> {
    let queue = shared.queue
    return AsyncStream { await queue.next() }
  }

  /// Watches a folder; returns when all its directories are watched, or it was told why not. Watch first, then look
  /// through the folder: so nothing falls in between. Watching it again starts anew.
  package func watch(_ folder: Folder, ownPaths: [[UInt8]]) async {
    await withCheckedContinuation { continuation in
      if !shared.send(.watch(folder, ownPaths: ownPaths, done: continuation)) { continuation.resume() }
    }
  }

  /// Stops watching a folder; events that wait still come.
  package func unwatch(_ folder: FolderID) { _ = shared.send(.unwatch(folder)) }

  /// Ends the thread, then the stream of events. Safe to call again.
  package func close() {
    _ = shared.send(nil)
    thread.withLock { $0.take() }?.join()
  }
}
