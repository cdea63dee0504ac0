import MantelCore
import MantelSession

/// Questions of a session to the store that are still to be asked.
///
/// Small reads become possible one by one, as bytes leave; but a piece of work costs a snapshot of the catalog, hops between
/// threads and a walk down to the files, however few of them it reads. So small reads wait while more of them are out than wait:
/// what was read before is on its way to the peer meanwhile. Not for long, since what is out may lie on a disk that hangs.
struct WaitingQueries {
  /// How long small reads wait for others of the session.
  static let patience: Duration = .milliseconds(50)
  /// Reading more than this costs more than what goes with it.
  static let smallReadBytes = 256 << 10

  private var waiting: [(QueryID, StoreQuery)] = []
  private var smallReadsWaiting = 0
  private var smallReadsOut: Set<QueryID> = []
  /// Since when small reads are held back.
  private var heldSince: Instant?

  /// When `take` is to be called again, whatever was answered by then.
  var nextDeadline: Instant? { heldSince.map { $0 + Self.patience } }

  mutating func add(_ id: QueryID, _ query: StoreQuery) {
    waiting.append((id, query))
    if query.isSmallRead { smallReadsWaiting += 1 }
  }

  mutating func answered(_ id: QueryID) { smallReadsOut.remove(id) }

  /// What is to be asked now, in the order in which it came; at most `limit` questions.
  mutating func take(_ limit: Int, now: Instant) -> [(QueryID, StoreQuery)] {
    guard limit > 0, !waiting.isEmpty else {
      heldSince = nil
      return []
    }
    let holdsBack = holdsBack(now)
    var taken: [(QueryID, StoreQuery)] = []
    var left: [(QueryID, StoreQuery)] = []
    for question in waiting {
      let isSmall = question.1.isSmallRead
      guard taken.count < limit, !(isSmall && holdsBack) else {
        left.append(question)
        continue
      }
      taken.append(question)
      guard isSmall else { continue }
      smallReadsWaiting -= 1
      smallReadsOut.insert(question.0)
    }
    waiting = left
    heldSince = holdsBack ? heldSince ?? now : nil
    return taken
  }

  /// Whether the small reads that wait are fewer than those that are out, and have not waited for long.
  private func holdsBack(_ now: Instant) -> Bool {
    guard smallReadsWaiting > 0, smallReadsWaiting < smallReadsOut.count else { return false }
    guard let nextDeadline else { return true }
    return now < nextDeadline
  }
}

extension StoreQuery {
  fileprivate var isSmallRead: Bool {
    guard case .read(let unit, _, let maximumBytes) = self else { return false }
    return unit.part != .manifest && maximumBytes <= WaitingQueries.smallReadBytes
  }
}
