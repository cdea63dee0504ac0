import MantelAgent
import MantelControl

/// Compares what lies on disk with the originals, with nothing but `read` and `stat`, and the sums that the agents list
/// with what lies on disk.
struct DemoProof: Sendable {
  let machines: [DemoMachine]

  private(set) var comparedCopies = 0
  private(set) var comparedBytes: UInt64 = 0
  private(set) var skipped = 0
  /// Per machine: its own files, and the copies on it.
  private(set) var own: [String: FileCount] = [:]
  private(set) var copies: [String: FileCount] = [:]
  /// The root over each machine's photos, on which all agree.
  private(set) var roots: [String: String] = [:]
  private var faults: [String] = []

  private static let shownFaults = 10

  init(machines: [DemoMachine]) { self.machines = machines }

  /// Throws, naming the first faults, unless every copy is right and none is missing or too many.
  mutating func check(_ statuses: [StatusAnswer]) async throws {
    compareRoots(statuses)
    for owner in machines {
      let originals = try await originals(of: owner)
      own[owner.name] = Self.count(originals)
      var listed: Set<[String]> = []
      for holder in machines where holder.name != owner.name {
        try Task.checkCancellation()
        let sums = try await sums(of: owner, on: holder)
        compare(originals, of: owner, on: holder, sums)
        listed.insert(originals.map { sums[Self.copy(of: $0, owner, holder)] ?? "" })
      }
      if listed.count != 1 { faults.append("the sums listed for the photos of \(owner.name) differ") }
    }
    guard faults.isEmpty else {
      let more = faults.count - Self.shownFaults
      throw CommandFailure(
        .notComplete,
        faults.prefix(Self.shownFaults).joined(separator: "; ") + (more > 0 ? "; and \(more) more" : ""))
    }
  }

  /// Every machine wants the same of each library, and holds it all.
  private mutating func compareRoots(_ statuses: [StatusAnswer]) {
    for owner in machines {
      let libraries = statuses.flatMap(\.libraries).filter { $0.machine == owner.name }
      let roots = Set(libraries.flatMap { [$0.wantedRoot, $0.heldRoot] })
      guard let root = roots.first, roots.count == 1, libraries.count == machines.count else {
        faults.append("the roots of \(owner.name)'s photos differ")
        continue
      }
      self.roots[owner.name] = root
    }
  }

  private mutating func compare(
    _ originals: [SourceFile], of owner: DemoMachine, on holder: DemoMachine,
    _ sums: [[UInt8]: String]
  ) {
    let source = Array(owner.source.utf8) + [UInt8(ascii: "/")]
    for file in originals {
      let path = Self.copy(of: file, owner, holder)
      let name = "\(owner.name)/\(Printable.bytes(file.path)) on \(holder.name)"
      guard let copy = SourceTree.file(at: path) else {
        faults.append("\(name) is missing")
        continue
      }
      if copy.size != file.size || !SourceTree.areEqual(source + file.path, path) {
        faults.append("\(name) has other bytes")
      }
      if copy.modified != file.modified { faults.append("\(name) has another time") }
      if sums[path] == nil { faults.append("\(name) is not among the sums") }
      comparedCopies += 1
      comparedBytes += file.size
      copies[holder.name, default: FileCount(files: 0, bytes: 0)].files += 1
      copies[holder.name]?.bytes += file.size
    }
    let extra = sums.count - originals.count
    if extra > 0 { faults.append("\(extra) copies too many of \(owner.name) on \(holder.name)") }
  }

  /// Where a copy has to lie.
  private static func copy(
    of file: SourceFile, _ owner: DemoMachine, _ holder: DemoMachine
  ) -> [UInt8] {
    Array("\(holder.home.defaultReplica)/\(owner.name)/\(owner.folder)/".utf8) + file.path
  }

  /// The files of a machine that have to be everywhere: all but those that it skips with a reason.
  private mutating func originals(of owner: DemoMachine) async throws -> [SourceFile] {
    var reasons: Set<[UInt8]> = []
    var after: String?
    repeat {
      let page = try await owner.client.skipped(after: after)
      for item in page.items { reasons.insert(item.path.bytes) }
      after = page.next
    } while after != nil
    skipped += reasons.count
    return try SourceTree.files(below: Array(owner.source.utf8)).filter { file in
      !Self.prefixes(of: file.path).contains(where: reasons.contains)
    }
  }

  /// The path itself and the directories that it lies in: a skipped directory is one item.
  private static func prefixes(of path: [UInt8]) -> [[UInt8]] {
    let slash = UInt8(ascii: "/")
    return path.indices.filter { path[$0] == slash }.map { Array(path[..<$0]) } + [path]
  }

  private func sums(of owner: DemoMachine, on holder: DemoMachine) async throws -> [[UInt8]: String] {
    var sums: [[UInt8]: String] = [:]
    var after: String?
    repeat {
      let page = try await holder.client.sums(machine: owner.name, after: after)
      for item in page.items { sums[item.path.bytes] = item.sha256 }
      after = page.next
    } while after != nil
    return sums
  }

  private static func count(_ files: [SourceFile]) -> FileCount {
    FileCount(files: files.count, bytes: files.reduce(0) { $0 + $1.size })
  }
}
