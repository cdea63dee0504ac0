import MantelCore

/// The bounds that one session keeps. The defaults are the shipped ones; tests lower them.
///
/// What we open towards the peer (`openGets` + `openPulls` + `openDeltas` + `openEntryRequests` + `openReconciliations` + `openChallenges`) stays
/// below `openRequests`, so a peer that keeps the same limits never refuses us.
package struct SessionLimits: Hashable, Sendable {
  // MARK: Time

  package var handshake: Duration = Limits.handshake
  package var pingAfterIdle: Duration = Limits.pingAfterIdle
  package var deadAfterIdle: Duration = Limits.deadAfterIdle
  /// Own requests are open and brought less than `progressBytes`, and no end, for this long: a peer that only answers
  /// pings, or dribbles. Also the patience with a single request for entries or a comparison (`RequestClocks`).
  package var stalledAfter: Duration = .seconds(120)
  package var progressBytes = 64 << 10
  /// Bytes in a second below which a request for entries or a comparison does not count as moving.
  package var slowestRate = 16 << 10
  /// What the end of a unit counts for as progress.
  package static let unitWorth = 4 << 10

  // MARK: Requests

  /// Requests of the peer without a terminal reply; one more closes.
  package var openRequests = Limits.openRequests
  /// Reconciliations open per side; the peer's one more closes, own ones wait.
  package var openReconciliations = Limits.openReconciliations
  package var openGets = 30
  /// Own pulls that are open, and others that wait; one more ends as busy.
  package var openPulls = 2
  package var queuedPulls = 16
  package var openDeltas = 4
  package var openEntryRequests = 8
  /// Challenges open per side; of the peer's one more ends as busy, own ones wait.
  package var openChallenges = 4
  /// Own challenges that wait; one more ends as busy.
  package var queuedChallenges = 16
  /// Jobs that wait for their turn; one more ends as busy.
  package var queuedJobs = 1_024

  // MARK: Fetching

  package var unitsPerGet = Limits.unitsPerGet
  package var bytesPerGet = Limits.bytesPerGet
  /// Bytes asked for and not yet received.
  package var windowBytes = Limits.windowBytes
  /// Units that wait for a GET; one more ends as busy.
  package var queuedFetches = 1 << 16

  // MARK: Serving

  package var dataBytes = Limits.dataBytes
  package var readsInFlight = 16
  /// Bytes asked of the store or read and not yet sent.
  package var readAheadBytes = 4 << 20
  /// The part of `readAheadBytes` that only the unit being sent may use, so that read-ahead never starves it.
  package var headReserveBytes = 1 << 20
  /// Bytes of one read.
  package var readBytes = 1 << 20
  /// Bytes of the first read of a unit whose length is not known yet.
  package var firstReadBytes = 256 << 10
  /// Bytes of chosen units that are still to be sent when the next one is chosen: a connection at rest costs the time that
  /// a choice takes, one that chooses early chooses what another may have sent meanwhile.
  package var lateBytes = 512 << 10
  /// Units chosen at once while they are small.
  package var unitsPerChoice = 64
  /// Entry or roster bytes put into one frame.
  package var pageBytes = 60 << 10
  /// Page queries of all library requests of the peer together; each request has at most one.
  package var pageQueries = 4
  /// Entries asked of the store in one query.
  package var entriesPerQuery = 256

  // MARK: Queues

  /// Our pings without a pong; another is not sent.
  package var pings = 4
  /// Our pings without a pong while nothing is taken from the peer. No more than its `pongs`: it may be unable to send them.
  package var heldUpPings = 16
  /// The peer's pings not yet answered; one more closes.
  package var pongs = 16
  /// Ids announced as available and not yet sent; one more closes, because the peer does not read.
  package var announcedIDs = 1 << 18
  /// Forget requests not yet sent; one more closes.
  package var forgetRequests = 1_024

  package init() {}
}
