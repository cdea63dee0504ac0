import Foundation
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold

/// `mantel replica adopt`: makes a directory this machine's replica, by the bytes that lie there. When the catalog is lost or
/// damaged, a new one begins with what is kept beside the copies.
///
/// Runs under the lock of the state directory, without an agent. May be cut off at any point and run again: what was
/// hashed is not hashed twice. Nothing in the directory is changed or removed.
package struct ReplicaAdoption: Sendable {
  package struct Summary: Sendable {
    package var root: String
    package var files = 0
    package var bytes: UInt64 = 0
    /// Files and directories that cannot be read: they stay, and count for nothing.
    package var unreadable: [(path: [UInt8], why: String)] = []
    /// The former catalog, when it was damaged.
    package var setAside: String?
    package var isRebuilt = false
    package var household: String
    package var folders: [(name: String, directory: [UInt8])] = []

    fileprivate mutating func tell(unreadable path: [UInt8], _ why: String) {
      if unreadable.count < ReplicaAdoption.toldErrors { unreadable.append((path, why)) }
    }
  }

  private let home: Home
  private let root: [UInt8]
  private let lock: StateLock
  private let key: DeviceKey

  /// Rows of one transaction.
  private static let page = 256
  /// Files whose errors are told one by one.
  private static let toldErrors = 1_000

  /// Throws `AgentError`: locked, no key, or no such directory.
  package init(home: Home, directory: String) throws {
    try home.create()
    self.home = home
    root = Array(Home.absolute(directory).utf8)
    lock = try StateLock(home)
    guard FileManager.default.fileExists(atPath: home.keyPath) else { throw AgentError.noKey(home) }
    key = try DeviceKey.load(from: home.keyPath)
  }

  /// `progress`: files hashed so far, and their bytes; returns whether to go on.
  package func run(progress: @escaping (Int, UInt64) -> Bool) throws -> Summary {
    defer { withExtendedLifetime(lock) {} }
    try requireOwnReplica()
    var summary = Summary(root: String(decoding: root, as: UTF8.self), household: "")
    let catalog = try openOrRebuild(&summary)
    let folders = try catalog.folders().filter { !$0.isRemoved }
    if let folder = folders.first(where: { FolderRules.overlaps($0.root, root) }) {
      throw AgentError(
        .conflict, "\(summary.root) overlaps the folder \(folder.name): a replica lies outside of all folders"
      )
    }
    summary.folders = folders.sorted { $0.name < $1.name }.map { ($0.name, $0.root) }
    let roster = Roster(stored: try catalog.statements().map { try SignedStatement(bytes: $0) })
    summary.household = roster.name
    let replica = try AgentError.explainingPlace(of: summary.root) { try adopted() }
    // Somebody may have copied it here a moment ago: what is recorded as held must be on the disk.
    try replica.syncAll()
    // A sound catalog may be an old one.
    try catalog.addRefusedDrops(keptRefusals(&summary))
    var seen: Set<[UInt8]> = []
    try record(replica, in: catalog, &summary, &seen, progress: progress)
    try forgetAbsent(seen, in: catalog)
    // Last: until all is known of it, no agent lives on it.
    try catalog.setValue(.replicaRoot, root)
    try catalog.close()
    return summary
  }

  // MARK: Parts

  /// Only what was a replica becomes one again: copies are moved about in it, and second ones removed. A copy of a replica
  /// (`cp -a`) has the marker too.
  private func requireOwnReplica() throws {
    let shown = String(decoding: root, as: UTF8.self)
    let marker: ReplicaMarker?
    do { marker = try Replica.marker(in: root) } catch {
      throw AgentError(.usage, "\(shown) cannot be adopted: \(error)")
    }
    guard let marker else {
      throw AgentError(
        .usage, "\(shown) was never a replica: it has no .mantel/marker; name the directory that has one")
    }
    guard marker.machine == key.machine || home.formerMachines.contains(marker.machine) else {
      throw AgentError(
        .conflict, "\(shown) is the replica of another machine (\(marker.machine.hex.prefix(8)))")
    }
  }

  private func keptHousehold() throws -> HouseholdCopy? {
    do {
      guard let bytes = try Replica.kept(.household, in: root) else { return nil }
      let copy = try HouseholdCopy(bytes: bytes)
      return copy.machine == key.machine ? copy : nil
    } catch let error as RecordError {
      throw AgentError(
        .internalError, "what is kept of the household in the replica cannot be read: \(error)")
    } catch let error as DiskError where error.code == .notFound {
      throw AgentError(.usage, "there is no directory \(String(decoding: root, as: UTF8.self))")
    }
  }

  /// What cannot be read of it is told and stops nothing: what the catalog does not know of the trash stays there for its time
  /// once more.
  private func keptRefusals(_ summary: inout Summary) -> [ContentID] {
    do {
      return try Replica.kept(.refused, in: root).map { try RefusedDrops(bytes: $0).contents } ?? []
    } catch {
      summary.unreadable.append((Array(".mantel/\(KeptFile.refused.rawValue)".utf8), "\(error)"))
      return []
    }
  }

  private func openOrRebuild(_ summary: inout Summary) throws -> Catalog {
    let draft = CatalogDraft(home: home, machine: key.machine)
    if FileManager.default.fileExists(atPath: home.catalogPath) {
      do {
        let catalog = try Catalog(path: home.catalogPath, machine: key.machine)
        // An empty database is sound, and nobody's.
        if try catalog.damage().isEmpty, try catalog.value(.household) != nil { return catalog }
        try catalog.close()
      } catch let error as CatalogOpenError {
        guard case .corrupt = error else { throw error }
      } catch let error as StoreError {
        guard error.code == .corrupt else { throw error }
      }
    }
    // Read only now: a sound catalog needs nothing of it.
    guard let copy = try keptHousehold() else { throw AgentError.nothingKept(summary.root) }
    summary.setAside = try CatalogDraft.setAside(home, "damaged")
    try draft.make { try copy.restore(to: $0) }
    summary.isRebuilt = true
    return try Catalog(path: home.catalogPath, machine: key.machine)
  }

  /// Where it lies already it keeps its marker.
  private func adopted() throws -> Replica {
    do {
      return try Replica.open(root: root, machine: key.machine, create: false)
    } catch {
      switch error.code {
      case .notMounted, .foreign: return try Replica.adopt(root: root, machine: key.machine)
      default: throw error
      }
    }
  }

  private func record(
    _ replica: Replica, in catalog: Catalog, _ summary: inout Summary, _ known: inout Set<[UInt8]>,
    progress: (Int, UInt64) -> Bool
  ) throws {
    var rows: [ReplicaFile] = []
    func flush() throws {
      try catalog.commitFiling(put: rows, removed: [], filed: [])
      rows.removeAll(keepingCapacity: true)
    }
    var open: [[UInt8]] = [[], Replica.trashPath]
    while let directory = open.popLast() {
      for seen in try entries(of: directory, in: replica, &summary) {
        switch seen.type {
        case .directory: open.append(seen.path)
        case .regular:
          do {
            if let row = try row(of: seen, in: replica, catalog) { rows.append(row) }
            known.insert(seen.path)
            summary.files += 1
            summary.bytes += seen.stamp.size
          } catch let error as DiskError where error.code != .notMounted && error.code != .cancelled {
            summary.tell(unreadable: seen.path, "\(error)")
          }
        case .unreadable(let errno): summary.tell(unreadable: seen.path, String(cString: strerror(errno)))
        case .symlink, .special: continue
        }
        if rows.count >= Self.page { try flush() }
        guard progress(summary.files, summary.bytes) else {
          try flush()
          throw CancellationError()
        }
      }
    }
    try flush()
  }

  /// What lies in a directory; of one that cannot be read nothing, and that is told: the rest of the replica does not wait for
  /// it. Without the root there is nothing to adopt.
  private func entries(
    of directory: [UInt8], in replica: Replica, _ summary: inout Summary
  ) throws -> [FileObservation] {
    do {
      return try replica.entries(in: directory)
    } catch {
      guard !directory.isEmpty, error.code != .notMounted, error.code != .cancelled else { throw error }
      // Of a disk that went meanwhile nothing is concluded.
      try replica.checkMounted()
      let hasNoTrash = directory == Replica.trashPath && error.code == .notFound
      if !hasNoTrash { summary.tell(unreadable: directory, "\(error)") }
      return []
    }
  }

  /// Takes the rows out of files that are not there: nothing is held that nobody has seen. What cannot be read is not there.
  private func forgetAbsent(_ seen: Set<[UInt8]>, in catalog: Catalog) throws {
    var after: [UInt8]?
    while true {
      let page = try catalog.replicaFiles(of: nil, after: after, limit: 1_000)
      guard let last = page.last else { return }
      after = last.path
      let gone = page.map(\.path).filter { !seen.contains($0) }
      try catalog.commitFiling(put: [], removed: gone, filed: [])
    }
  }

  /// What to record of a file; nil when it is known already, as the file that it is. One whose bytes are not what the catalog
  /// says of it is recorded as what it is: its content is missing then, and comes again.
  private func row(
    of seen: FileObservation, in replica: Replica, _ catalog: Catalog
  ) throws -> ReplicaFile? {
    let known = try catalog.replicaFile(at: seen.path)
    if let known, known.stamp.isSame(as: seen.stamp) { return nil }
    let file = try replica.hash(path: seen.path)
    guard file.isStable else { throw DiskError(.changed, path: seen.path, operation: "adopt") }
    let isSame = known?.content == file.content
    return ReplicaFile(
      library: known?.library ?? key.machine, entry: isSame ? known?.entry ?? EntryID(.zero) : EntryID(.zero),
      content: file.content, path: seen.path, stamp: file.stampAfter, verified: AgentClock.wall,
      mark: isSame ? known?.mark : try trashMark(seen.path, file.content, catalog))
  }

  /// What lies in the trash came there now, as far as anybody knows; what was only parked there, and what is kept for good,
  /// has no mark.
  private func trashMark(_ path: [UInt8], _ content: ContentID, _ catalog: Catalog) throws -> DropMark? {
    guard path.starts(with: Replica.trashPath + [UInt8(ascii: "/")]), !Replica.isParked(path),
      try !catalog.isRefusedDrop(content)
    else { return nil }
    let counted = try catalog.value(.agentDay) ?? []
    let time = counted.reduce(Int64(0)) { $0 << 8 | Int64($1) }
    return .trashed(since: AgentTime(nanoseconds: time), isConfirmed: false)
  }
}

extension AgentError {
  static func noKey(_ home: Home) -> AgentError {
    AgentError(
      .conflict,
      "the key of this machine (\(home.keyPath)) is not there: put it back from a backup, or join as a new machine "
        + "(`mantel invite` on a member, `mantel join CODE --replaces NAME` here)")
  }

  static func nothingKept(_ root: String) -> AgentError {
    AgentError(
      .conflict,
      "\(root) keeps nothing of this machine's household, so its catalog cannot be rebuilt from there: name the directory "
        + "that was this machine's replica, or join as a new machine (`mantel join CODE --replaces NAME`)")
  }

  static func damaged(_ home: Home, _ why: String) -> AgentError {
    AgentError(
      .internalError,
      "\(why) (\(home.catalogPath)): the disk may be failing. `mantel replica adopt DIR`, with the directory of this "
        + "machine's copies, rebuilds it from there and from the other machines; no photo is sent again")
  }
}

extension Catalog {
  /// The catalog of an installation; a damaged one ends in an error that says how to go on.
  static func open(_ home: Home, machine: MachineID) throws -> Catalog {
    do {
      return try Catalog(path: home.catalogPath, machine: machine)
    } catch {
      if case .corrupt = error { throw AgentError.damaged(home, error.description) }
      throw error
    }
  }
}
