import Glibc

/// A thread of its own, for work that waits on the kernel for its whole life. Join it exactly once.
struct WorkerThread: Sendable {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: pthread_t

  /// Nil when the system has no thread left.
  init?(_ body: @escaping @Sendable () -> Void) {
    let context = Unmanaged.passRetained(Body(body))
    var thread = pthread_t()
    let outcome = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard outcome == 0 else {
      context.release()
      return nil
    }
    self.thread = thread
  }

  func join() { pthread_join(thread, nil) }

  /// Calls `body` with 0..<count, on up to `width` threads at once, and returns when all are done.
  static func parallel(_ count: Int, width: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let lanes = max(1, min(width, count))
    let run: @Sendable (Int) -> Void = { lane in
      for index in stride(from: lane, to: count, by: lanes) { body(index) }
    }
    // A lane without a thread runs here: slower, never lost.
    var threads: [WorkerThread] = []
    var own = [0]
    for lane in 1..<lanes {
      if let thread = WorkerThread({ run(lane) }) { threads.append(thread) } else { own.append(lane) }
    }
    for lane in own { run(lane) }
    for thread in threads { thread.join() }
  }
}
