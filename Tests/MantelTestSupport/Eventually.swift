/// A condition did not come true in time.
package struct DeadlineMissed: Error, CustomStringConvertible {
  package let what: String
  package let limit: Duration

  package var description: String { "after \(limit) still not: \(what)" }
}

/// Waits until `condition` gives a value, at most `limit`; the one place of all tests where real time passes.
///
/// For what happens outside of this process, or on threads without an event to await. Looks often at first, then every
/// 25 ms. Throws `DeadlineMissed` with `what`, as it is then, or what the condition throws.
package func eventually<Value>(
  within limit: Duration = .seconds(20), _ what: @autoclosure () -> String,
  value condition: () async throws -> Value?
) async throws -> Value {
  let clock = ContinuousClock()
  let deadline = clock.now + limit
  var pause = Duration.milliseconds(1)
  while true {
    if let value = try await condition() { return value }
    guard clock.now < deadline else { throw DeadlineMissed(what: what(), limit: limit) }
    try await clock.sleep(for: pause)
    pause = min(pause * 2, .milliseconds(25))
  }
}

/// Waits until `condition` holds, at most `limit`.
package func eventually(
  within limit: Duration = .seconds(20), _ what: @autoclosure () -> String,
  _ condition: () async throws -> Bool
) async throws {
  try await eventually(within: limit, what(), value: { try await condition() ? () : nil })
}
