package import MantelCore
import MantelHousehold
import MantelSummary

/// Where bytes still are that the user of this machine forgot, and why.
package struct KeptBytes: Hashable, Sendable {
  package enum Why: Hashable, Comparable, Sendable {
    /// The library of this machine names them under another name, or in another version of a file.
    case ownLibrary
    /// The machine's own library names them: only its user can forget them.
    case otherLibrary
    /// Connected, and says that it has them: in its trash, or held there until somebody confirms.
    case trash
    /// Not connected; by its last word it knew that they are forgotten.
    case away
    /// Not connected, and does not know of it yet.
    case unaware
  }
  package var machine: MachineID
  package var why: Why
  /// Contents.
  package var files: Int
}

extension Replicator {
  /// By machine and reason; what is told of a machine that is not connected is what it may have at most.
  /// `leaving`: own entries that are about to be forgotten, for somebody who wants to know before.
  package func keepers(
    of forgotten: [ContentID], leaving: Set<EntryID> = []
  ) throws(StoreError) -> [KeptBytes] {
    var counts: [MachineID: [KeptBytes.Why: Int]] = [:]
    var unnamed: [ContentID] = []
    for content in forgotten {
      var owners = contents.byLibrary.keys.filter { contents.isWanted(content, in: $0) }
      if !leaving.isEmpty, owners.contains(machine),
        try store.entries(machine, of: content).allSatisfy({ leaving.contains($0.id) })
      {
        owners.removeAll { $0 == machine }
      }
      for owner in owners {
        counts[owner, default: [:]][owner == machine ? .ownLibrary : .otherLibrary, default: 0] += 1
      }
      if owners.isEmpty { unnamed.append(content) }
    }
    for member in roster.members.map(\.machine) where member != machine {
      guard (records[member]?.record.role ?? .full) == .full, !unnamed.isEmpty else { continue }
      if let link = links.values.first(where: { $0.machine == member }), link.knowsContents {
        let files = unnamed.count { contents.index.contains($0.digest, in: link.contents) }
        if files > 0 { counts[member, default: [:]][.trash] = files }
      } else {
        for content in unnamed {
          if let why = try whereabouts(of: content, at: member) {
            counts[member, default: [:]][why, default: 0] += 1
          }
        }
      }
    }
    return counts.flatMap { machine, reasons in
      reasons.map { KeptBytes(machine: machine, why: $0.key, files: $0.value) }
    }.sorted { ($0.machine, $0.why) < ($1.machine, $1.why) }
  }

  /// Nil when the machine cannot have it by its own last word: it knew, and that is longer ago than its trash lasts.
  private func whereabouts(of content: ContentID, at member: MachineID) throws(StoreError) -> KeptBytes.Why? {
    guard let statement = attesting.newest[member]?.record.libraries.first(where: { $0.library == machine }),
      try store.wasWanted(content, in: machine, at: statement.order) == false
    else { return .unaware }
    let age = attesting.received[member].map { agentTime - $0 } ?? .zero
    return age < settings.trashLife ? .away : nil
  }

  /// Of all that is forgotten, or of the last of it.
  package func forgottenContents() throws(StoreError) -> [ContentID] {
    try store.forgottenContents(limit: settings.forgottenSample)
  }

  /// Whether so many drops, with those of this agent month, are more than other machines let go without a question.
  package func asksOthers(dropping count: Int) -> Bool { count > dropLimit(of: machine) }

  /// Why nothing can be published now; nil when it can.
  package var isPublishingStopped: Bool { publication.isStopped }
}
