package import MantelCore
import MantelSummary

/// What one machine's death would cost.
extension Replicator {
  /// Machines known to hold a content, over all libraries that name it: here by its own check, elsewhere by a current
  /// attestation. Being able to serve it now is no promise to keep it, and does not count.
  package mutating func holders(of content: ContentID) throws(StoreError) -> Set<MachineID> {
    var holders: Set<MachineID> = contents.isHeld(content) ? [machine] : []
    for library in Set(try store.entries(of: content).map(\.library)) {
      holders.formUnion(try self.holders(of: content, in: library))
    }
    return holders
  }

  /// Whether a machine may have an entry's content, and no other is known to hold it. The machine's own word needs no proof for
  /// that: what it does not prove just now is lost with it all the same.
  package mutating func isAtRisk(
    _ installed: InstalledEntry, with candidate: MachineID
  ) throws(StoreError) -> Bool {
    let content = installed.entry.content
    // Most are held by others that the library itself tells of: the catalog is asked about the rest.
    guard try holders(of: content, in: installed.library).allSatisfy({ $0 == candidate }) else {
      return false
    }
    guard try holders(of: content).allSatisfy({ $0 == candidate }) else { return false }
    return try mayHave(candidate, content)
  }

  /// By its library, which names what lies in its folders, or by its newest word, however old.
  private func mayHave(_ candidate: MachineID, _ content: ContentID) throws(StoreError) -> Bool {
    if contents.isLive(content, in: candidate) { return true }
    if candidate == machine { return contents.isHeld(content) }
    for library in Set(try store.entries(of: content).map(\.library)) {
      if try lastKnownHolders(of: content, in: library).contains(candidate) { return true }
    }
    return false
  }
}

// MARK: - Drills

extension Replicator {
  /// Contents of a library that this machine is to hold copies of.
  package mutating func drillable(of library: MachineID) -> Int {
    contents.index.count(of: contents.sets(of: library).wanted)
  }

  /// The first live content of a library at or above an id, around the end: one that is held here, or that a connected
  /// machine says it can send; none of those that were chosen before. The own library's are looked for only elsewhere.
  package mutating func drillCandidate(
    of library: MachineID, servedBy server: MachineID?, from start: Digest256, except chosen: Set<ContentID>
  ) -> ContentID? {
    let sets = contents.sets(of: library)
    var handles = [sets.live]
    if let server {
      guard let link = links.values.first(where: { $0.machine == server }) else { return nil }
      handles.append(link.contents)
    } else {
      handles = [sets.heldLive]
    }
    for first in [start, .zero] {
      var found: ContentID?
      contents.index.forEach(in: handles, notIn: [], from: first) {
        let content = ContentID($0)
        guard !chosen.contains(content) else { return true }
        found = content
        return false
      }
      if found != nil { return found }
    }
    return nil
  }
}
