import MantelCore
import NIOCore
import Synchronization

extension Transport {
  /// Gives a newcomer a place, at the cost of one that only holds its own, or tells it that there is none.
  func newcomerArrived(_ connection: AuthenticatedConnection, source: SourceKey) {
    let taken = state.withLock { state in
      state.phase == .stopped ? nil : state.joins.take(connection.channel, source: source)
    }
    guard let taken else {
      JoinConnection.turnAway(connection.channel, .busy, grace: limits.closeGrace)
      return
    }
    if let evicted = taken.evicted { JoinConnection.turnAway(evicted, .busy, grace: limits.closeGrace) }
    enqueue(.join(connection, taken.place))
  }

  func newcomerProved(at place: JoinPlace) {
    let now = configuration.now()
    state.withLock { state in
      guard let source = state.joins.prove(place) else { return }
      state.admission.forgive(source, now: now)
    }
  }
}
