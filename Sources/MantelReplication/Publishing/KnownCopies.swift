import MantelCore
import MantelHousehold
import MantelSummary

/// What tells whether an own content is, or ever was, anywhere but in this machine's folders.
///
/// When the last file of a content goes, this decides between *retired* (wanted for ever) and *unheld* (nobody has it,
/// nobody needs to look for it). An absence is believed only of who said so: a machine that is away may well have what
/// it attested, also when the statement does not name what it lacks.
struct KnownCopies {
  let machine: MachineID
  let contents: ContentIndex
  let store: any HouseholdStore
  /// What each connected peer has, as far as that is known.
  let announced: [SetHandle]
  /// The peers of which all of it is known, and that said their own word on their connection: what they do not have there, they do
  /// not have. One that said none may have withdrawn what lies on a disk that is away.
  let compared: Set<MachineID>
  /// The other members' newest statements on the own library, however old: they tell what once was.
  let statements: [MachineID: LibraryAttestation]

  func mayExist(of content: ContentID) throws(StoreError) -> Bool {
    let id = content.digest
    if contents.isSafe(content) || contents.index.contains(id, in: contents.seen) { return true }
    if announced.contains(where: { contents.index.contains(id, in: $0) }) { return true }
    if try !store.replicaFiles(of: content).isEmpty { return true }
    // The same photo in somebody else's folder.
    if try store.entries(of: content).contains(where: { $0.library != machine && $0.entry.state.isLive }) {
      return true
    }
    for (holder, statement) in statements where try mayHave(content, holder, by: statement) { return true }
    return false
  }

  private func mayHave(
    _ content: ContentID, _ holder: MachineID, by statement: LibraryAttestation
  ) throws(StoreError) -> Bool {
    switch try store.wasWanted(content, in: machine, at: statement.order) {
    case false?:
      // It came after the head that the machine had when it last said something; or it had gone before, and may still lie
      // in the machine's trash.
      guard try store.wasNamed(content, in: machine, by: statement.order) != false else { return false }
      return !compared.contains(holder)
    case true? where statement.listsMissing: return !statement.missing.contains(content)
    // Too much was missing to name it, or nobody knows any more what that head had.
    default: return !compared.contains(holder)
    }
  }
}

extension Replicator {
  var knownCopies: KnownCopies {
    var statements: [MachineID: LibraryAttestation] = [:]
    for (holder, signed) in attesting.newest where holder != machine && roster.isMember(holder) {
      statements[holder] = signed.record.libraries.first { $0.library == machine }
    }
    return KnownCopies(
      machine: machine, contents: contents, store: store,
      announced: links.values.map(\.contents),
      compared: Set(links.values.filter(\.tellsAbsences).map(\.machine)), statements: statements)
  }

  /// A connection ends: the peer still has what it had, and may not have attested it yet.
  mutating func rememberSeen(on link: Link) {
    let live = contents.sets(of: machine).live
    var ids: [Digest256] = []
    contents.index.forEach(in: [link.contents, live], notIn: [contents.seen], from: .zero) {
      ids.append($0)
      return true
    }
    contents.index.insert(sorted: ids, into: contents.seen)
  }

  /// A peer takes back that it can serve a content.
  mutating func rememberSeen(_ content: ContentID) {
    let live = contents.sets(of: machine).live
    guard contents.index.contains(content.digest, in: live) else { return }
    contents.index.insert(content.digest, into: contents.seen)
  }
}
