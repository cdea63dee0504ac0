/// A mistake that somebody might make, made on purpose by every machine of a simulated household: the invariants have to
/// see it. Nothing of it is in the program; the wrong disk, catalog, session or order of things stands in the simulation.
enum Canary: String, CaseIterable, Sendable {
  // Durability
  /// A batch is reported, and so announced as held, before its directories are synced.
  case reportsBeforeSync
  /// An own file is published before it is synced.
  case publishesBeforeSync
  /// Heads and attestations leave while the commit that has them is not on the disk (`synchronous=OFF`).
  case commitsWithoutSync
  /// What a batch that was cut off may have done is not looked at after the start. Mostly that is mended: a plan made anew is
  /// the same, and finds what it makes where it is to be. It shows where the plan is another one by then, or a file has gone to
  /// the trash. So batches that move files are cut off more often than elsewhere; else it takes hundreds of seeds.
  case forgetsJournal
  /// What a batch that was cut off was to do counts as done.
  case trustsJournal

  // Time
  /// Agent time goes by the wall clock alone. Shows only where one jumps forward, in one seed of five.
  case countsWallTime

  // Files
  /// A file takes the place of whatever lies there.
  case landsOverFiles
  /// The copy goes when its owner deletes the photo.
  case followsDeletions
  /// A copy, or a second name, is taken for its source without hashing it.
  case trustsCopies
  /// Bytes are taken for the content that was asked for, by their number alone.
  case trustsUnits
  /// A file that cannot be seen, because its disk is not there, counts as gone.
  case forgetsWhatIsAway
  /// A folder whose disk is not there counts as empty.
  case retiresWhatIsAway

  // Heads and claims
  /// A head is installed with what came of its entries, whatever its root.
  case skipsRootCheck
  /// A head takes the place of a newer one.
  case installsOlderHeads
  /// Two heads of one order: the second is signed, and sent to some, after the first was.
  case signsTwice
  /// A machine believes its own disk: it signs before anybody was heard, and goes on in the epoch that it finds.
  case signsUnheard
  /// What an owner is shown of a history that it does not know means nothing to it.
  case ignoresFormerHeads
  /// Nobody shows an owner the head that had what fell out of its library.
  case showsNoFormerHeads
  /// The attestation that came last counts, not the one with the higher number.
  case countsStaleAttestations
  /// An own file counts as a copy of itself.
  case countsOwnFiles
  /// What others have said is forgotten with the process.
  case forgetsStatements

  // Releases
  /// A release lets go of what any one machine attests, another source too.
  case releasesForOne
  /// A source lets go, unasked, of what those full machines attest that are connected just now.
  case releasesWithoutTheAbsent

  // Progress
  /// Some requests get no answer.
  case endsNoRequest

  /// Caught within a few seconds: tried at each run of the tests. The others are for the long form.
  static let quick: [Canary] = [
    .publishesBeforeSync, .reportsBeforeSync, .commitsWithoutSync, .trustsJournal, .followsDeletions,
    .trustsUnits, .landsOverFiles, .releasesWithoutTheAbsent,
  ]
}
