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
  /// What a batch that was cut off may have done is not looked at after the start.
  case forgetsJournal

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
  /// The attestation that came last counts, not the one with the higher number.
  case countsStaleAttestations
  /// An own file counts as a copy of itself.
  case countsOwnFiles
  /// What others have said is forgotten with the process.
  case forgetsStatements

  // Progress
  /// Some requests get no answer.
  case endsNoRequest

  /// Caught within a few seconds: tried at each run of the tests. The others are for the long form; `forgetsJournal` is
  /// seen only when files that change places are cut off at the one wrong moment, and was not caught yet.
  static let quick: [Canary] = [
    .publishesBeforeSync, .reportsBeforeSync, .commitsWithoutSync, .followsDeletions, .trustsUnits,
    .landsOverFiles,
  ]
}
