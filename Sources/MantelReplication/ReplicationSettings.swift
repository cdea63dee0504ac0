import MantelCore

/// Times and sizes of decisions; the defaults are design.md's.
package struct ReplicationSettings: Sendable {
  /// Between two looks at a file that no event says is finished.
  package var settle: Duration = .seconds(2)
  package var publishAfterLast: Duration = .milliseconds(50)
  package var publishAfterFirst: Duration = .milliseconds(200)
  /// How long a recovery of the own history waits for members that are away, in agent time.
  package var recoveryPatience: Duration = .agentDay
  /// How often a member that shows a head of the own library may fail to bring it, once that patience is over.
  package var recoveryAttempts = 12
  /// Between heads under sustained load.
  package var publishInterval: Duration = .seconds(2)
  /// While so many files are still to be hashed, a head waits for them, ...
  package var manyHashes = 16
  /// ... but no longer than `publishInterval`, nor for more changes than these.
  package var publishFiles = 8_192
  /// Heads within as many `publishInterval`s that still count as no load.
  package var publishBurst = 3
  /// A deletion waits this long, so that a move is told from it.
  package var deletionDelay: Duration = .seconds(2)
  /// A deletion waits no longer than this for files that are still to be hashed, unless one of them may be the same.
  package var deletionPatience: Duration = .seconds(60)
  /// A file that was deleted and comes up under another name after no longer than this was moved.
  package var moveMemory: Duration = .seconds(86_400)
  /// Before a file whose fsync failed is hashed again.
  package var syncRetry: Duration = .seconds(60)
  /// What a folder may lose within a day of agent time before a person has to accept it.
  var massChange = MassChangeLimit(contents: 50, share: 5, window: .agentDay)
  /// Changes of a path in an agent day that are published at once; the k-th after them waits 2^k times the unit.
  package var promptChanges = 3
  package var changeDelay: Duration = .seconds(60)
  /// Known files that are looked for where a directory lies on a filesystem that was not expected.
  package var sampledFiles = 100
  /// Agent time that a crash may lose.
  package var agentTimeSaved: Duration = .seconds(60)
  /// Files, and bytes of them, that one hashing thread gets at once.
  package var hashJobFiles = 256
  package var hashJobBytes: UInt64 = 16 << 20
  /// Files given to hashing threads at once, whatever their sizes (the pool has its own number of threads).
  package var hashesInFlight = 8
  /// Files, and bytes of them, given to hashing threads at once when they are small: enough for as long as a head of
  /// many files takes to be written.
  package var smallHashesInFlight = 8_192
  package var hashBytesInFlight: UInt64 = 128 << 20
  /// Pending ledger rows in memory before they are written. More than a scan is ahead of the hashes: most rows of a first
  /// scan are written once, when the file is published.
  package var pendingRows = 32_768
  /// Files that wait to settle or to be hashed before scans pause.
  package var filesWaiting = 16_384
  package var batchFiles = 4_096
  /// While so many units are on their way, the next batch waits for more of them, this long after the one before has ended, or
  /// until half of a batch has come.
  package var gatherUnits = 256
  package var gatherFor: Duration = .milliseconds(200)
  /// Bytes of one batch's steps in the catalog's journal, and a quarter of what nobody knows the end of. A step has up to
  /// five paths, a content any number of steps, and SQLite takes no value of a billion bytes.
  package var journalBytes = 8 << 20
  /// After a replica file vanished, before its bytes are looked for elsewhere in the replica: others vanish with it.
  package var strayDelay: Duration = .seconds(2)
  /// How long dropped files stay in the replica's trash, in agent time; also the window of `dropLimit`.
  package var trashLife: Duration = .seconds(30 * 86_400)
  /// What is over in the trash, and stays for a reason, is looked at again after so long; agent time.
  package var trashRetry: Duration = .seconds(86_400)
  /// After the start, or a sleep, nothing is deleted or given up for so long: first others may say that they want it.
  package var deletionGrace: Duration = .seconds(60)
  /// What a library may drop within that time before a person on this machine has to confirm.
  var dropLimit = DropLimit(least: 10, most: 100, share: 100)
  /// What another library may grow by in a day before a person on this machine has to confirm.
  var growthLimit = GrowthLimit(entries: 1_000_000, window: .agentDay)
  /// One in so many bytes of the free space: more than that missing of one library is told.
  var spaceShare: UInt64 = 3
  /// How long the own library keeps replaced files.
  package var keep = KeepRules()
  /// After the start, and between two looks at what has expired.
  package var retentionDelay: Duration = .seconds(600)
  package var retentionInterval: Duration = .seconds(6 * 3_600)
  /// Replaced entries that are looked at in one event.
  package var retentionPage = 2_000
  /// Of each library the newest heads stay, with what they replaced, and all since the oldest that anybody's attestation
  /// speaks of, but not more than `historyLimit`: whoever is behind them compares anew.
  package var historyKept = 1_000
  package var historyLimit = 100_000
  package var historyInterval: Duration = .seconds(86_400)
  /// Reports, and notes of replaced entries, that are looked at in one event.
  package var historyPage = 1_000
  /// How long ago a daily look saw a healing first that its report goes; agent time.
  package var reportsKept: Duration = .agentDay * 90
  /// How long all full machines must report a content missing before it is given up, and how long ago the last word of
  /// a machine may be that is still asked; agent time.
  package var absencePatience: Duration = .seconds(7 * 86_400)
  package var absenceMemory: Duration = .seconds(30 * 86_400)
  /// Contents that were given up and are looked for among what others have.
  package var lostContents = 65_536
  package var requestsKept = Limits.requestsKept
  /// Forgotten contents of which `status` tells where they still are.
  package var forgottenSample = 10_000
  /// Rows of contents of which nothing is here that are filed in one event.
  package var absentRows = 10_000
  /// In the first event after an install, which also asks for what is missing: eight times as many in each further one.
  package var firstAbsentRows = 512
  package var batchBytes: UInt64 = 256 << 20
  /// Entries of one library's next head, and bytes of their paths, that may be in memory before they are staged.
  package var stagedAtOnce = 16_384
  package var stagedPathBytes = 4 << 20
  /// Units and bytes given to one link's fetch queue.
  package var linkUnits = 1_024
  package var linkBytes: UInt64 = 64 << 20
  /// How much of it may be blocks of large contents that are got of this peer alone: a new photo waits for so much of a video at
  /// most. Those that are shared have half of a share window beside it, or of what is left to the peer's choice.
  package var linkBlockBytes: UInt64 = 16 << 20
  /// Units of one link that others lack too and that are got by way of the swarm at any time; of more, its walk waits.
  package var sharedUnits = 1_024
  /// Blocks of large contents that wait so, beside these.
  package var sharedBlocks = 64
  /// Large contents of which it is kept in mind what blocks a peer has; more are got of those that have all of them.
  package var partialContents = 64
  /// Units asked by name of a peer that is still getting what it gives, and bytes of them.
  package var sharedOrders = 256
  var shareWindow = ShareWindow.Bounds()
  /// Units that a peer may choose from, and how many and how much of them before it is asked anew with what is known then.
  package var pullOffers = 512
  package var pullUnits = 256
  package var pullBytes = 8 << 20
  /// When no more units than these are left, and all are asked for, what others have not brought yet is taken over sooner.
  package var endgameUnits = 16
  package var endgameAfter: Duration = .seconds(2)
  package var endgameInterval: Duration = .seconds(1)
  /// Missing contents read at once for a link's walk.
  package var missingPage = 512
  /// Contents that a link's walk comes back to by name; when there are more, it starts over.
  package var reconsidered = 4_096
  /// Large contents begun, and not yet asked for to the end, of one peer: a manifest costs it a pass over the file.
  package var largeAtOnce = 8
  /// Contents of which it is remembered by whose word they could not be had.
  package var doubtedClaims = 65_536
  /// How long a unit may be on its way from one peer before a link that has nothing else to do gets it instead; each time
  /// that happens to a unit, twice as long.
  package var takeOverAfter: Duration = .seconds(60)
  /// Between two looks at what links without work may take over.
  package var takeOverInterval: Duration = .seconds(10)
  /// Before a unit is asked for again from a peer that was busy, failed, or whose file changed.
  package var retry: Duration = .seconds(5)
  /// So much longer for each content that waits already: a disk that is away, with all that it had, is not asked for in turns
  /// without end.
  package var retryPace: Duration = .milliseconds(20)
  package var longestRetry: Duration = .seconds(600)
  /// Contents whose disk is back, and that are offered again in one event, and the time between two of these: a peer at the end
  /// of a slow connection takes no more news.
  package var offeredAgain = 4_096
  package var offerInterval: Duration = .seconds(1)
  /// Steps of which it is not known what they did: when there are so many, nothing is planned for files that are here; when
  /// there are twice as many, nothing at all but finding out.
  package var unresolvedSteps = 4_096
  /// Before what contradicts its owner's own signature is tried again.
  package var contradiction: Duration = .seconds(3_600)
  /// Before a peer that sent wrong bytes of a content is asked for it again; other peers are asked at once.
  package var distrust: Duration = .seconds(600)
  /// What the install of a row that waited in bulk takes of the catalog's disk at its peak. Measured with 300,000 rows, and scaled
  /// to a million: 460 MB for the log, 330 MB for sorting, in files that may lie elsewhere, and 290 MB that the catalog grows by;
  /// rounded up, for the room is measured a while before.
  package var installedRowBytes: UInt64 = 1_500
  /// Before bytes are staged again after the disk was full.
  package var diskFull: Duration = .seconds(30)
  /// Corrupt units of one peer after which its link is closed.
  package var corruptUnitsPerLink = 5
  /// Contents, and bytes of them, that are recalled at once; and recalls that may wait for their turn.
  package var recallsAtOnce = 128
  package var recallBytes: UInt64 = 256 << 20
  package var recallsWaiting = 4_096
  /// Nothing of a recalled content was on its way for so long: it is given up.
  package var recallPatience: Duration = .seconds(15)
  /// Nothing of it came for so long, though it was on its way.
  package var recallStall: Duration = .seconds(600)
  /// Requests for a recalled content that may end in vain.
  package var recallFailures = 8
  package var attestWhileIncomplete: Duration = .seconds(60)
  package var attestWhenComplete: Duration = .milliseconds(500)
  package var attestRenewal: Duration = .seconds(86_400)
  /// How long an attestation counts, in agent time since it was received.
  package var attestationLife: Duration = .seconds(14 * 86_400)
  /// Heads younger than this do not make a machine incomplete.
  package var checkpointAge: Duration = .seconds(60)
  /// Before the first challenge of a connection, and between two of them.
  package var challengeDelay: Duration = .seconds(60)
  package var challengeInterval: Duration = .seconds(600)
  /// Three challenges in a row that end without an answer are excused while they are no further apart than this in agent time;
  /// those that may be a peer's load, or the connection, for longer.
  package var evasionPatience: Duration = .seconds(600)
  package var busyPatience: Duration = .seconds(3_600)
  /// Of larger contents only the range is read for the right answer, until the peer gives another; they are not released.
  package var challengedBytes: UInt64 = 256 << 20
  /// How old a statement may be on whose word copies are released.
  package var releaseAttested: Duration = .seconds(7 * 86_400)
  /// Contents that are challenged and removed together, and pages of which nothing can be asked that one event passes.
  package var releasePage = 64
  package var releasePages = 64
  /// Contents whose sizes are looked up to tell how many bytes a peer lacks.
  package var sizeSample = 2_000
  /// Contents that a peer lacks whose sizes are looked up one by one; of more the mean size is taken.
  package var exactSizes = 200
  /// Contents that a peer may have beyond the entries of all heads known here.
  package var unlistedContents = 65_536
  /// Own contents whose files are counted one by one for `status`; of more all files are walked.
  package var safetyList = 1_000
  /// Recent views of a library that stay servable.
  package var servedViews = 4

  /// Other bytes under a stamp that is younger than this may be a second write within a tick of the clock.
  package var rewriteDoubt: Duration = .seconds(60)
  /// Every file is re-read within this time.
  package var scrubPeriod: Duration = .seconds(30 * 86_400)
  /// What is late, after weeks without the agent, is re-read within this time.
  package var scrubCatchUp: Duration = .seconds(86_400)
  /// Bytes a second: the least, so that little is done soon, and the most.
  package var scrubTrickle: UInt64 = 1_000_000
  package var scrubLimit: UInt64 = 50_000_000
  /// Between two looks at what there is to re-read.
  package var scrubSurvey: Duration = .seconds(6 * 3_600)
  /// After the start, which has better to do; and after the disk was not there.
  package var scrubDelay: Duration = .seconds(300)
  /// Files asked of the store at once; what was read of them is recorded at once too.
  package var scrubPage = 128
  /// Between two comparisons of the replica with the catalog by stat.
  package var compareInterval: Duration = .seconds(86_400)
  /// Replica files that wait for their bytes to decide; more are found by another comparison.
  package var doubtedFiles = 16_384
  /// Batches that could not be synced since a mount, until nothing more is written to the replica's disk.
  package var failingSyncs = 3
  /// Before that comparison.
  package var compareAgain: Duration = .seconds(60)
  /// A comparison waits no longer than this for filing to come to rest.
  package var comparePatience: Duration = .seconds(3_600)
  /// Since the start, a mount, and the last part of the replica that a comparison came to: how long attestations wait until all
  /// copies were looked at, and those that did not look right were read. One that cannot be read, or a disk that cannot be walked,
  /// silences nobody for longer.
  package var judgePatience: Duration = .seconds(900)
  /// Since the start, and since a mount: however far the comparison comes. A million files on a cold disk take hours.
  package var judgeLimit: Duration = .seconds(6 * 3_600)
  /// A verification that nobody asks about ends.
  package var verifyLease: Duration = .seconds(60)
  /// How long a verification waits for what it found bad to be healed.
  package var verifyHealing: Duration = .seconds(120)
  /// How often a verification walks again for files that moved while it read.
  package var verifyWalks = 3

  package init() {}

  /// Before a content that could not be had is asked for again, when so many others wait for the same.
  func retry(waiting: Int) -> Duration { max(retry, min(retryPace * waiting, longestRetry)) }
}
