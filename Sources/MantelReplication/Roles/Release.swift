package import MantelCore

/// A run of `mantel release`: which copies may go, who has shown them, and what came of it. In memory: a run that is cut off
/// has freed what it has freed, and is begun again by hand.
struct Release: Sendable {
  /// A content whose copies are to go.
  struct Item: Sendable {
    var files: Int
    var bytes: UInt64
    /// Full machines that have not shown it yet.
    var waiting: Set<MachineID>
  }

  var report: ReleaseReport
  /// When it ends unless somebody asks again.
  var lease: Instant
  /// The last content of the page that is under way.
  var position: ContentID?
  /// The last pages had nothing to ask for: the next ones are looked at in an event of their own.
  var turn: Instant?
  var open: [ContentID: Item] = [:]
  /// Shown by all of them.
  var shown: [ContentID: Item] = [:]
  /// In the batch that runs.
  var freeing: [ContentID: Item] = [:]

  var isBetweenPages: Bool { open.isEmpty && shown.isEmpty && freeing.isEmpty }

  /// What this machine is asked for next.
  func next(for machine: MachineID) -> ContentID? {
    open.lazy.filter { $0.value.waiting.contains(machine) }.map(\.key).min()
  }

  mutating func keep(_ item: Item, _ why: ReleaseReport.Why) {
    report.kept[why, default: ReleaseReport.Tally()].add(item.files, item.bytes)
  }

  /// The content stays.
  mutating func keep(_ content: ContentID, _ why: ReleaseReport.Why) {
    if let item = open.removeValue(forKey: content) { keep(item, why) }
  }

  mutating func showed(_ content: ContentID, _ machine: MachineID) {
    guard open[content]?.waiting.remove(machine) != nil, let item = open[content], item.waiting.isEmpty else {
      return
    }
    open[content] = nil
    shown[content] = item
  }

  /// Not shown: a file that has just moved, a disk that is busy. The copy stays until the next run.
  mutating func evaded(_ content: ContentID, _ machine: MachineID) {
    if open[content]?.waiting.contains(machine) == true { keep(content, .unproven(machine)) }
  }
}

/// How far a release has come.
package struct ReleaseReport: Hashable, Sendable {
  package enum Phase: String, Sendable {
    case releasing
    case done
    /// By its user, because nobody asked any more, or because somebody who has to show the photos went.
    case stopped
  }

  /// Why copies stay.
  package enum Why: Hashable, Sendable {
    /// No library names them, or only one that this household does not keep.
    case unnamed
    /// This full machine does not attest them within seven days; the first of those.
    case unattested(MachineID)
    /// It attests them, and did not show them.
    case unproven(MachineID)
    /// Larger than what a release has machines show, or empty.
    case tooLarge
    /// They cannot be read here, so that nobody can be asked to show them.
    case unreadable
    /// The disk did not let them go.
    case failed
  }

  package struct Tally: Hashable, Sendable {
    package var files = 0
    package var bytes: UInt64 = 0

    mutating func add(_ files: Int, _ bytes: UInt64) {
      self.files += files
      self.bytes += bytes
    }
  }

  /// Counts the runs since the agent started.
  package var number: UInt64
  package var phase: Phase = .releasing
  /// Why it stopped by itself.
  package var refusal: ReleaseRefusal?
  package var looked = Tally()
  package var released = Tally()
  package var kept: [Why: Tally] = [:]
}

/// Why nothing can be released now.
package enum ReleaseRefusal: Hashable, Sendable {
  /// This machine owes its copies.
  case isFull
  /// Nobody else keeps copies.
  case nobodyKeeps
  /// These full machines are not connected: they cannot show anything.
  case away([MachineID])
  case replicaAway
  /// That it keeps no copies any more is not signed yet: a matter of a second.
  case stillAttested
}

/// What a release would come to, as far as that is known before anybody has shown anything. In contents.
package struct ReleasePreview: Hashable, Sendable {
  package var refusal: ReleaseRefusal?
  /// Copies of photos that some library names.
  package var contents = 0
  /// Those of them that every remaining full machine attests.
  package var attested = 0
  /// Those of these that are known to be on one filesystem only once they are gone here.
  package var single = 0

  package init(refusal: ReleaseRefusal? = nil) { self.refusal = refusal }
}
