import MantelCatalog
import MantelCore
import MantelDisk
import MantelReplication

/// Where the bytes of a content can be had, and in words why they cannot.
struct ContentFinder: Sendable {
  let engine: Engine
  let effects: Effects
  let names: Names

  /// Files here that should have the bytes.
  func sources(of content: ContentID) throws -> [RestoreSource] {
    let replica = effects.replica
    var sources = try engine.catalog.replicaFiles(of: content).map {
      RestoreSource.replica(replica, path: $0.path)
    }
    let folders = try engine.catalog.folders()
    for file in try engine.catalog.ownFiles(of: content) {
      guard let folder = folders.first(where: { $0.id == file.folder && !$0.isRemoved }) else { continue }
      sources.append(.own(root: folder.root, path: file.path))
    }
    return sources
  }

  /// Machines that could send it now.
  func connectedHolders(of content: ContentID) async -> [String] {
    await engine.ask { $0.connectedHolders(of: content) }.map(names.name).sorted()
  }

  /// Why a recalled content has not come.
  func reason(_ outcome: RecallOutcome, _ installed: InstalledEntry) async throws -> String {
    switch outcome {
    case .here: return "it came, and was gone again"
    case .notReachable: return try await unreachable(installed)
    case .refused: return "the machines that have it did not send it; try again later"
    case .damaged: return "what other machines sent of it were not its bytes"
    case .noSpace: return "the disk of the replica has no room to fetch it: its reserve stays free"
    case .readOnly:
      return
        "the filesystem of the replica, where it would be fetched to, is read-only: `mantel status` says what to do"
    case .busy: return "it is being fetched for something else; try again"
    }
  }

  /// Who is known to have it, and when that machine was last there.
  func unreachable(_ installed: InstalledEntry) async throws -> String {
    let holders = try await engine.ask {
      try $0.lastKnownHolders(of: installed.entry.content, in: installed.library)
    }
    guard !holders.isEmpty else {
      return "not reachable: no machine is known to hold it, and none that is connected has it"
    }
    var words: [String] = []
    for holder in holders {
      let attested = await engine.ask { $0.attestedAt[holder] }
      var seen = await engine.seenAt(holder)
      if seen == nil { seen = try engine.catalog.peerAddresses(holder).compactMap(\.lastSuccess).max() }
      words.append(
        "\(names.name(holder)) (\(attested.map(AgentControl.text) ?? "-"), last seen "
          + "\(seen.map(AgentControl.text) ?? "never"))")
    }
    return "not reachable: last attested by \(words.joined(separator: ", "))"
  }
}
