/// How long agents of this machine have run in all, by the smaller of wall time and boot time passed: what every age
/// that ends in a deletion, and every window of a day, is counted in. No clock that jumps can make it leap.
package struct AgentTime: Hashable, Comparable, Sendable {
  package var nanoseconds: Int64

  package static let zero = AgentTime(nanoseconds: 0)

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  package static func + (left: Self, right: Duration) -> Self {
    Self(nanoseconds: left.nanoseconds + right.inNanoseconds)
  }

  package static func - (left: Self, right: Self) -> Duration {
    .nanoseconds(left.nanoseconds - right.nanoseconds)
  }
}

extension Duration {
  /// 24 hours of agent time.
  package static let agentDay: Duration = .seconds(86_400)
}
