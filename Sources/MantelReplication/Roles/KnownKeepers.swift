package import MantelCore
import MantelHousehold
import MantelSummary

/// Who attests what lies here, at one moment. A walk over all copies asks this, beside the decisions: at a million of them
/// it takes seconds.
package struct KnownKeepers: Sendable {
  /// Contents that a machine's newest statement proves, library by library.
  struct Attested: Sendable {
    var sets: [SetSnapshot]

    func has(_ content: ContentID) -> Bool { sets.contains { $0.contains(content.digest) } }
  }

  /// Of machines whose word counts: full ones, and sources that happen to have something.
  var keepers: [MachineID: Attested]
  /// All full machines beside this one, whether their word counts or not.
  var fullMachines: [MachineID]
  /// Held here, and named by a library of another machine; library by library.
  var copies: [SetSnapshot]
  /// Live in the own library.
  var live: SetSnapshot
  /// On which a machine keeps its copies, by the word that counts.
  var filesystems: [MachineID: FolderID]

  /// Adds a page of copies to what a release would come to.
  package func count(_ page: [ReplicaContent], into preview: inout ReleasePreview) {
    for content in page.lazy.map(\.content) where copies.contains(where: { $0.contains(content.digest) }) {
      preview.contents += 1
      guard !fullMachines.isEmpty, fullMachines.allSatisfy({ keepers[$0]?.has(content) == true }) else {
        continue
      }
      preview.attested += 1
      guard !live.contains(content.digest) else { continue }
      // One disk is one copy.
      let places = Set(keepers.lazy.filter { $0.value.has(content) }.map { filesystems[$0.key] })
      if places.count < 2 { preview.single += 1 }
    }
  }

  /// How many contents of other libraries are held here, and by nobody else's current word anywhere.
  package func contentsOnlyHere() -> Int {
    var count = 0
    for (index, library) in copies.enumerated() {
      library.forEach(from: .zero) { id in
        // What two libraries name is one content.
        if !copies[..<index].contains(where: { $0.contains(id) }),
          !keepers.values.contains(where: { $0.has(ContentID(id)) })
        {
          count += 1
        }
        return true
      }
    }
    return count
  }
}

extension Replicator {
  package mutating func knownKeepers() throws(StoreError) -> KnownKeepers {
    let keepers = try attested(by: others)
    let live = contents.sets(of: machine).live
    let libraries = contents.byLibrary.filter { $0.key != machine }.sorted { $0.key < $1.key }
    return KnownKeepers(
      keepers: keepers, fullMachines: otherFullMachines,
      copies: libraries.map { contents.index.snapshot(of: $0.value.heldWanted) },
      live: contents.index.snapshot(of: live),
      filesystems: attesting.newest.mapValues(\.record.filesystem))
  }

  /// Of those whose word was received within seven agent days, and is believed.
  mutating func attested(by machines: [MachineID]) throws(StoreError) -> [MachineID: KnownKeepers.Attested] {
    var attested: [MachineID: KnownKeepers.Attested] = [:]
    for holder in machines
    where holder != machine && roster.isMember(holder) && challenging.isBelieved(holder) {
      guard let statement = attesting.newest[holder]?.record, let received = attesting.received[holder],
        agentTime - received < settings.releaseAttested
      else { continue }
      var sets: [SetSnapshot] = []
      for library in statement.libraries where library.listsMissing {
        if let proven = try proven(library, by: holder) { sets.append(proven) }
      }
      attested[holder] = KnownKeepers.Attested(sets: sets)
    }
    return attested
  }

  /// What follows from a statement, if it has the statement's root. An owner speaks of its live contents alone, and of its
  /// newest head.
  mutating func proven(
    _ statement: LibraryAttestation, by holder: MachineID
  ) throws(StoreError) -> SetSnapshot? {
    let owner = statement.library
    guard contents.byLibrary[owner] != nil else { return nil }
    let sets = contents.sets(of: owner)
    let missing = statement.missing.map(\.digest)
    var proven: SetSnapshot
    if holder == owner {
      guard statement.order == libraries[owner]?.order else { return nil }
      proven = contents.index.snapshot(of: sets.live).applying(added: [], removed: missing)
    } else {
      guard let changes = try store.wantedChanges(owner, since: statement.order) else { return nil }
      proven = contents.index.snapshot(of: sets.wanted).applying(
        added: changes.went.map(\.digest), removed: changes.came.map(\.digest) + missing)
    }
    return proven.root == statement.heldRoot ? proven : nil
  }

  /// Whether a machine's newest statement on a library proves anything. Judged once for each statement and installed head, for a
  /// listing asks this of each of a million entries.
  mutating func isProven(by holder: MachineID, of owner: MachineID) throws(StoreError) -> Bool {
    guard let attestation = attesting.newest[holder]?.record,
      let statement = attestation.libraries.first(where: { $0.library == owner }), statement.listsMissing
    else { return false }
    let installed = libraries[owner]?.installed?.record
    if let verdict = attesting.verdicts[holder]?[owner], verdict.number == attestation.number,
      verdict.installed == installed
    {
      return verdict.isProven
    }
    let isProven = try proven(statement, by: holder) != nil
    attesting.verdicts[holder, default: [:]][owner] = StatementVerdict(
      number: attestation.number, installed: installed, isProven: isProven)
    return isProven
  }
}
