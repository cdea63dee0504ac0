import Foundation
import MantelCatalog
import MantelControl
import MantelCore
import MantelHousehold
import MantelDisk
import MantelReplication

extension AgentControl {
  // MARK: Folders

  func folders() async throws(ControlError) -> [FolderAnswer] {
    try await answering {
      let folders = await engine.ask { $0.folders }
      return try await answers(folders)
    }
  }

  func addFolder(_ request: FolderRequest) async throws(ControlError) -> FolderAnswer {
    try await answering {
      guard let directory = Data(base64Encoded: request.directoryBase64) else {
        throw ControlError(code: .usage, message: "the directory is not base64")
      }
      let folder = try await addFolder(Array(directory), request)
      try await renewRecord()
      scanner.scan(folder.id)
      return try await answer(folder)
    }
  }

  /// The rules look at disks, which the engine does not wait for: when another folder came meanwhile, they judge anew.
  private func addFolder(_ directory: [UInt8], _ request: FolderRequest) async throws -> Folder {
    while true {
      let existing = await engine.ask { $0.folders }
      let folder = try FolderRules.folder(
        directory: directory, name: request.name, excludes: request.excludes, existing: existing,
        ownPaths: home.ownPaths(replica: replicaRoot))
      let isAdded = try await engine.change { $0.folders == existing ? .folderAdded(folder) : nil }
      if isAdded { return folder }
    }
  }

  private func answer(_ folder: Folder) async throws -> FolderAnswer {
    guard let answer = try await answers([folder]).first else {
      throw ControlError(code: .internalError, message: "the folder \(folder.name) has no answer")
    }
    return answer
  }

  func removeFolder(name: String) async throws(ControlError) -> FolderAnswer {
    try await answering {
      guard let folder = await engine.ask({ $0.folders.first { $0.name == name } }) else {
        throw ControlError.noFolder(name)
      }
      let answer = try await answer(folder)
      scanner.forget(folder.id)
      try await engine.perform(.folderRemoved(folder.id))
      return answer
    }
  }

  func acceptFolder(name: String) async throws(ControlError) -> AcceptAnswer {
    try await answering {
      guard let folder = await engine.ask({ $0.folders.first { $0.name == name } }) else {
        throw ControlError.noFolder(name)
      }
      let held = try catalog.heldFiles(folder.id)
      await engine.handle(.folderAccepted(folder.id))
      scanner.scan(folder.id)
      return AcceptAnswer(name: folder.name, accepted: held)
    }
  }

  private func answers(_ folders: [Folder]) async throws -> [FolderAnswer] {
    let counts = try catalog.folderCounts()
    let known = await engine.ask { $0.safeContents }
    let safe = try await effects.walk { [catalog] in
      var safe: [FolderID: Int] = [:]
      try catalog.forEachPublishedOwnFile { folder, _, content, _ in
        if known.contains(content.digest) { safe[folder, default: 0] += 1 }
        return true
      }
      return safe
    }
    var answers: [FolderAnswer] = []
    for folder in folders {
      let count = counts.first { $0.folder == folder.id }
      let isScanned = await engine.ask { $0.isScanned(folder.id) }
      let safeFiles = safe[folder.id] ?? 0
      answers.append(
        FolderAnswer(
          name: folder.name, id: folder.id.description, directory: Self.text(folder.root),
          excludes: folder.excludes,
          state: await engine.ask { $0.isOffline(folder.id) }
            ? "offline" : isScanned ? "watched" : "scanning",
          ledger: LedgerAnswer(
            seen: count?.seen ?? 0, safe: safeFiles,
            pending: (count?.pending ?? 0) + (count?.published ?? 0) - safeFiles,
            skipped: count?.skipped ?? 0), held: try catalog.heldFiles(folder.id)))
    }
    return answers
  }

  /// The folder's name travels with the machine record; the names of its replicas are made from it.
  private func renewRecord() async throws {
    _ = try await engine.change { replicator in
      guard var record = replicator.records[replicator.machine]?.record else { return nil }
      record.folders = try replicator.folderNames()
      record.role = replicator.role
      return .recordChanged(record)
    }
  }

  // MARK: Files

  func files(_ query: FilesQuery) async throws(ControlError) -> Page<FileAnswer> {
    try await answering {
      let names = try await Names(engine)
      let library = try query.machine.map { try names.machine($0) }
      let glob = query.pattern.map { Glob($0) }
      var states: EntryStates = [.live]
      if query.retired { states = [.live, .retired, .unheld] }
      var position = try query.after.map { text in
        guard let position = EntryPosition(text: text) else {
          throw ControlError(code: .usage, message: "\(text) is no position of a listing")
        }
        return position
      }
      var items: [FileAnswer] = []
      repeat {
        let page = try catalog.entries(
          of: library, states: states, after: position, limit: Self.pageItems)
        let matching = page.entries.filter { entry in
          glob?.matches(names.path(of: entry)) ?? true
        }
        items += try await answers(matching, names)
        position = page.next
      } while position != nil && items.count < Self.pageItems
      return Page(items: items, next: position?.text)
    }
  }

  func answers(_ entries: [InstalledEntry], _ names: Names) async throws -> [FileAnswer] {
    let (holders, filesystems) = try await engine.ask { replicator in
      let holders = try entries.map {
        let holders = try replicator.holders(of: $0.entry.content, in: $0.library)
        return (machines: holders, filesystems: replicator.filesystems(of: holders))
      }
      return (holders, replicator.householdFilesystems)
    }
    return zip(entries, holders).map { installed, holders in
      let entry = installed.entry
      let state =
        switch entry.state {
        case .live: "live"
        case .retired: "retired"
        case .unheld: "unheld"
        case .dropped: "dropped"
        }
      return FileAnswer(
        machine: names.name(installed.library), folder: names.folder(installed.library, entry.folder),
        path: Self.text(entry.path), size: entry.size,
        modified: Self.text(WallTime(nanoseconds: entry.mtime)), state: state,
        sha256: entry.content.hex, heldBy: holders.machines.map(names.name).sorted(), machines: names.count,
        copies: holders.filesystems, filesystems: filesystems)
    }
  }

  // MARK: Where

  func locate(_ query: WhereQuery) async throws(ControlError) -> WhereAnswer {
    try await answering {
      let content = try await content(of: query)
      let names = try await Names(engine)
      let found = try catalog.whereabouts(of: content)
      let roots = Dictionary(await engine.ask { $0.folders }.map { ($0.id, $0.root) }) { first, _ in first }
      var holders: [WhereAnswer.Holder] = []
      let slash = [UInt8(ascii: "/")]
      let own = found.ownFiles.compactMap { file in
        roots[file.folder].map { Self.text($0 + slash + file.path) }
      }
      let replicas = found.replicaFiles.map { Self.text(Array(replicaRoot.utf8) + slash + $0.path) }
      if !own.isEmpty || !replicas.isEmpty {
        holders.append(
          WhereAnswer.Holder(
            machine: names.name(key.machine), proof: "here",
            reread: found.replicaFiles.map(\.verified).max().map(Self.text), paths: own + replicas))
      }
      let (attested, connected) = try await engine.ask { replicator in
        (
          try found.entries.flatMap {
            try replicator.holders(of: content, in: $0.library)
          },
          replicator.connectedHolders(of: content)
        )
      }
      for machine in Set(attested + connected).sorted() where machine != key.machine {
        let time = await engine.ask { $0.rereadAt(machine) }
        holders.append(
          WhereAnswer.Holder(
            machine: names.name(machine),
            proof: attested.contains(machine) ? "attested" : "connected",
            reread: attested.contains(machine) ? time.map(Self.text) : nil, paths: []))
      }
      return WhereAnswer(
        sha256: content.hex, size: found.entries.first?.entry.size ?? found.ownFiles.first?.stamp.size,
        names: try await answers(found.entries, names), holders: holders)
    }
  }

  private func content(of query: WhereQuery) async throws -> ContentID {
    if let hex = query.sha256 {
      guard let content = ContentID(hex: hex) else {
        throw ControlError(code: .usage, message: "\(hex) is not a SHA-256 of 64 digits")
      }
      return content
    }
    guard let path = query.fileBase64.flatMap({ Data(base64Encoded: $0) }).map(Array.init) else {
      throw ControlError(code: .usage, message: "name a file or a SHA-256")
    }
    let text = String(decoding: path, as: UTF8.self)
    let directory = path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[...$0]) } ?? []
    let name = Array(path[directory.count...])
    do {
      if let file = try catalog.ownFile(atAbsolutePath: path), let content = file.content {
        let seen = try await effects.walk { try FileReader.stat(root: directory, path: name) }
        if file.stamp.isSame(as: seen.stamp) { return content }
      }
      // A file of the replica, of anywhere, or one that has just changed: its bytes tell.
      return try await effects.walk { [effects] in
        try FileReader.hash(root: directory, path: name, fsync: false) { effects.isRunning }.content
      }
    } catch {
      throw ControlError(code: .notFound, message: "\(text) cannot be read: \(error)")
    }
  }

  // MARK: Skipped, sums

  func skipped(after: String?) async throws(ControlError) -> Page<SkippedAnswer> {
    try await answering {
      let names = Dictionary(await engine.ask { $0.folders }.map { ($0.id, $0.name) }) { first, _ in first }
      let files = try catalog.skippedFiles(
        after: after.flatMap(FilePosition.init(text:)), limit: Self.pageItems)
      let items = files.map { file in
        let reason = SkipReasonText(file.status)
        return SkippedAnswer(
          folder: names[file.folder] ?? file.folder.description, path: Self.text(file.path),
          reason: reason.code, message: reason.message)
      }
      let last = files.count == Self.pageItems ? files.last : nil
      return Page(items: items, next: last.map { FilePosition(folder: $0.folder, path: $0.path).text })
    }
  }

  func sums(machine: String?, after: String?) async throws(ControlError) -> Page<SumAnswer> {
    try await answering {
      let names = try await Names(engine)
      let library = try machine.map { try names.machine($0) }
      let start = after.flatMap { Data(base64Encoded: $0) }.map(Array.init)
      let files = try catalog.replicaFiles(of: library, after: start, limit: Self.pageItems)
      let root = Array(replicaRoot.utf8) + [UInt8(ascii: "/")]
      // What is in the trash is a copy of nothing that is owed.
      let items = files.filter { $0.mark?.isInTrash != true }.map {
        SumAnswer(
          sha256: $0.content.hex, path: Self.text(root + $0.path), machine: names.name($0.library))
      }
      let last = files.count == Self.pageItems ? files.last : nil
      return Page(items: items, next: last.map { Data($0.path).base64EncodedString() })
    }
  }
}

/// Names of machines and folders, as they are now.
struct Names: Sendable {
  private(set) var machines: [MachineID: String] = [:]
  private var folders: [MachineID: [FolderID: String]] = [:]
  private var predecessors: [MachineID: MachineID] = [:]
  /// Members of the household.
  private(set) var count = 0

  init(_ engine: Engine) async throws {
    let (roster, records, own, machine) = try await engine.ask {
      ($0.roster, $0.records, try $0.folderNames(), $0.machine)
    }
    for member in roster.removed { machines[member.machine] = member.name }
    for member in roster.members { machines[member.machine] = member.name }
    for (id, record) in records { machines[id] = record.record.name }
    // One that was replaced is often followed by one of its own name.
    let present = Set(roster.members.compactMap { machines[$0.machine] })
    for member in roster.removed {
      guard let name = machines[member.machine], present.contains(name) else { continue }
      machines[member.machine] = "\(name) (\(member.machine.hex.prefix(4)))"
    }
    for member in roster.members {
      // Only while the one that it replaced is gone: else both are asked for by their names.
      predecessors[member.machine] = member.replaces.flatMap { roster.removedMember($0)?.machine }
    }
    for (id, record) in records {
      folders[id] = Dictionary(record.record.folders.map { ($0.id, $0.name) }) { first, _ in first }
    }
    // Photos of removed folders are still there, retired, and are asked for by the name that they had.
    for folder in try engine.catalog.folders() { folders[machine, default: [:]][folder.id] = folder.name }
    for folder in own { folders[machine, default: [:]][folder.id] = folder.name }
    count = roster.members.count
  }

  func name(_ machine: MachineID) -> String { machines[machine] ?? machine.short }

  func folder(_ machine: MachineID, _ folder: FolderID) -> String {
    knownFolder(machine, folder) ?? folder.description
  }

  func knownFolder(_ machine: MachineID, _ folder: FolderID) -> String? { folders[machine]?[folder] }

  func folderIDs(of machine: MachineID) -> [FolderID] { Array((folders[machine] ?? [:]).keys) }

  var all: [MachineID] { machines.keys.sorted() }

  /// A machine, and the removed one whose place it took: what was that one's is this one's to bring back.
  func lineage(of machine: MachineID) -> [MachineID] {
    [machine] + (predecessors[machine].map { [$0] } ?? [])
  }

  /// machine/folder/path, as a PATTERN matches it.
  func path(of installed: InstalledEntry) -> [UInt8] {
    path(installed.library, installed.entry.folder, installed.entry.path)
  }

  func path(_ library: MachineID, _ folder: FolderID, _ path: [UInt8]) -> [UInt8] {
    Array("\(name(library))/\(self.folder(library, folder))/".utf8) + path
  }

  func machine(_ name: String) throws -> MachineID {
    let named = machines.filter {
      $0.value == name || $0.key.hex.hasPrefix(name.lowercased()) && name.count >= 8
    }
    guard let found = named.first, named.count == 1 else {
      throw ControlError(
        code: .notFound, message: "no machine, or more than one, is called \(name); `mantel peers` lists them"
      )
    }
    return found.key
  }
}

/// A skip reason's code and a sentence.
struct SkipReasonText {
  var code: String
  var message: String

  init(_ status: FileStatus) {
    guard case .skipped(let reason) = status else {
      (code, message) = ("none", "not skipped")
      return
    }
    (code, message) =
      switch reason {
      case .junk: ("junk", "a temporary or system file by its name")
      case .excluded: ("excluded", "excluded by the folder's rules")
      case .symlink: ("symlink", "a symbolic link; what it points to is backed up only where it lies")
      case .special: ("special", "a pipe, socket or device")
      case .unreadable(let errno): ("unreadable", "cannot be read: \(String(cString: strerror(errno)))")
      case .tooLarge: ("tooLarge", "larger than \(Limits.contentBytes >> 30) GiB")
      case .pathTooLong: ("pathTooLong", "its path is longer than \(Limits.pathBytes) bytes")
      case .mantel: ("mantel", "Mantel's own state or replica")
      case .forgotten: ("forgotten", "forgotten on request; `mantel forget --undo` takes it back")
      }
  }
}
