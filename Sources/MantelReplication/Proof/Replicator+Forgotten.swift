package import MantelCore
import MantelHousehold
import MantelSummary

/// Where bytes still are that the user of this machine forgot, of its own library or one that it keeps, and why.
package struct KeptBytes: Hashable, Sendable {
  package enum Why: Hashable, Comparable, Sendable {
    /// The library of this machine names them under another name, or in another version of a file.
    case ownLibrary
    /// The machine's own library names them: only its user can forget them, or its keeper's.
    case otherLibrary
    /// Connected, and says that it has them: in its trash, or held there until somebody confirms. Or on a disk that is away, which
    /// lets go of nothing before it is back.
    case trash
    /// Not connected; by its last word it knew that they are forgotten.
    case away
    /// Not connected, and did not know of it when it last said something.
    case unaware
    /// No member any more: it has what it had.
    case removed
  }
  package var machine: MachineID
  package var why: Why
  /// Contents.
  package var files: Int
  /// Since when nothing was heard of a machine that is not connected, in agent time; nil: never, or it is connected.
  package var silent: Duration?
  /// Who keeps the library that names them, where that is a removed machine's: it is not asked.
  package var keeper: MachineID?
}

extension Replicator {
  /// By machine and reason; what is told of a machine that is not connected is what it may have at most.
  /// `forgotten`: by the library that forgot it. `leaving`: entries that are about to be forgotten, for somebody who wants to
  /// know before.
  package func keepers(
    of forgotten: [MachineID: Set<ContentID>], leaving: Set<EntryID> = []
  ) throws(StoreError) -> [KeptBytes] {
    var droppers: [ContentID: [MachineID]] = [:]
    for (library, contents) in forgotten {
      for content in contents { droppers[content, default: []].append(library) }
    }
    var counts: [MachineID: [KeptBytes.Why: Int]] = [:]
    var unnamed: [ContentID: [MachineID]] = [:]
    let signed = leaving.isEmpty ? [] : signedLibraries
    for (content, libraries) in droppers {
      var owners = contents.byLibrary.keys.filter { contents.isWanted(content, in: $0) }
      for owner in signed where owners.contains(owner) {
        if try store.entries(owner, of: content).allSatisfy({ leaving.contains($0.id) }) {
          owners.removeAll { $0 == owner }
        }
      }
      for owner in owners {
        counts[owner, default: [:]][owner == machine ? .ownLibrary : .otherLibrary, default: 0] += 1
      }
      if owners.isEmpty { unnamed[content] = libraries }
    }
    for member in possibleKeepers where !unnamed.isEmpty {
      if let link = links.values.first(where: { $0.machine == member }), link.knowsContents {
        var files = 0
        for (content, libraries) in unnamed where try says(link, toHave: content, of: libraries) {
          files += 1
        }
        if files > 0 { counts[member, default: [:]][.trash] = files }
      } else {
        for (why, files) in try whereabouts(of: unnamed, at: member) {
          counts[member, default: [:]][why, default: 0] += files
        }
      }
    }
    return counts.flatMap { machine, reasons in
      reasons.map { why, files in
        let isAway = why == .away || why == .unaware || why == .removed
        let heard = attesting.received[machine].map { agentTime - $0 }
        return KeptBytes(
          machine: machine, why: why, files: files, silent: isAway ? heard : nil,
          keeper: why == .otherLibrary && !roster.isMember(machine) ? roster.publisher(of: machine) : nil)
      }
    }.sorted { ($0.machine, $0.why) < ($1.machine, $1.why) }
  }

  /// Machines that take copies, or once did: neither another role nor a removal frees anything.
  private var possibleKeepers: [MachineID] {
    let members = roster.members.map(\.machine)
    let full = members.filter { (records[$0]?.record.role ?? .full) == .full }
    let connected = links.values.map(\.machine)
    return Set(full + connected).union(attesting.onceFull).subtracting([machine]).sorted()
  }

  /// Whether a connected machine offers bytes, or attests to have them at a head that wanted them: what lies on a disk that is away
  /// it may have withdrawn, and its word stays the last one until the disk is back.
  private func says(
    _ link: Link, toHave content: ContentID, of libraries: [MachineID]
  ) throws(StoreError) -> Bool {
    if contents.index.contains(content.digest, in: link.contents) { return true }
    guard let word = attesting.newest[link.machine]?.record else { return false }
    for statement in word.libraries where libraries.contains(statement.library) {
      guard statement.listsMissing, !statement.missing.contains(content) else { continue }
      if try store.wasWanted(content, in: statement.library, at: statement.order) == true { return true }
    }
    return false
  }

  /// What a machine that is not here has at most. How long ago it said something counts for nothing: its trash counts the
  /// days in which it runs. `unnamed`: with the libraries that forgot it; it knew if it knew of each.
  private func whereabouts(
    of unnamed: [ContentID: [MachineID]], at member: MachineID
  ) throws(StoreError) -> [KeptBytes.Why: Int] {
    guard roster.isMember(member) else { return [.removed: unnamed.count] }
    var known: [MachineID: (order: HeadOrder, wanted: Set<ContentID>)] = [:]
    for library in Set(unnamed.values.joined()) {
      guard
        let statement = attesting.newest[member]?.record.libraries.first(where: { $0.library == library }),
        let went = try store.wantedChanges(library, since: statement.order)?.went
      else { continue }
      known[library] = (statement.order, Set(went))
    }
    var counts: [KeptBytes.Why: Int] = [:]
    for (content, libraries) in unnamed {
      var knew = true
      for library in libraries where knew {
        if let word = known[library], !word.wanted.contains(content) {
          knew = try store.wasNamed(content, in: library, by: word.order) == true
        } else {
          knew = false
        }
      }
      counts[knew ? .away : .unaware, default: 0] += 1
    }
    return counts
  }

  /// Of all that is forgotten, or of the last of it, by library: of the own one, and of those that are kept here.
  package func forgottenContents() throws(StoreError) -> [MachineID: Set<ContentID>] {
    var forgotten: [MachineID: Set<ContentID>] = [:]
    for library in signedLibraries {
      let contents = try forgottenContents(in: library, since: nil, limit: settings.forgottenSample)
      if !contents.isEmpty { forgotten[library] = Set(contents) }
    }
    return forgotten
  }

  private func forgottenContents(
    in library: MachineID, since moment: AgentTime?, limit: Int
  ) throws(StoreError) -> [ContentID] {
    library == machine
      ? try store.forgottenContents(since: moment, limit: limit)
      : try store.forgottenContents(in: library, since: moment, limit: limit)
  }

  /// Whether these drops of a library, with those of this agent month, are more than other machines let go without a question.
  package func asksOthers(
    dropping contents: some Collection<ContentID>, in library: MachineID
  ) throws(StoreError) -> Bool {
    let limit = dropLimit(of: library)
    let moment = agentTime + (.zero - settings.trashLife)
    let before = try forgottenContents(in: library, since: moment, limit: limit + 1)
    return Set(before).union(contents).count > limit
  }

  /// Those of some contents of which nothing is here, and which no other machine has by its last word.
  package func unfound(among contents: [ContentID]) throws(StoreError) -> [ContentID] {
    let copies = knownCopies
    var unfound: [ContentID] = []
    for content in contents where !self.contents.isAvailable(content) {
      guard try store.ownFiles(of: content).isEmpty, try store.forgottenFiles(of: content).isEmpty,
        try !copies.mayExist(of: content)
      else { continue }
      unfound.append(content)
    }
    return unfound
  }
}
