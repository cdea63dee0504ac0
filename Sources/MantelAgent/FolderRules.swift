import Foundation
import MantelCore
import MantelDisk

/// What may become a folder, and what it is called.
enum FolderRules {
  /// Throws `AgentError` naming what is in the way.
  static func folder(
    directory: [UInt8], name wish: String?, excludes: [String], existing: [Folder],
    ownPaths: [[UInt8]]
  ) throws -> Folder {
    guard existing.count < Limits.folders else {
      throw AgentError(
        .conflict, "a machine has at most \(Limits.folders) folders: add one further up instead")
    }
    var root = directory
    while root.count > 1, root.last == UInt8(ascii: "/") { root.removeLast() }
    let shown = String(decoding: root, as: UTF8.self)
    guard excludes.count <= HouseholdCopy.excludeLimit,
      !excludes.contains(where: { $0.utf8.count > Limits.pathBytes }), root.count <= Limits.pathBytes
    else {
      throw AgentError(
        .usage,
        "a folder has at most \(HouseholdCopy.excludeLimit) patterns to exclude; a pattern, and the folder's own path, "
          + "at most \(Limits.pathBytes) bytes")
    }
    let identity: [UInt8]
    do {
      identity = try FilesystemFacts.identity(of: root)
      _ = try FolderWalker(
        folder: Folder(id: FolderID(high: 0, low: 0), name: "", root: root, excludes: [], filesystem: []),
        ownPaths: []
      ).directory([])
    } catch {
      throw AgentError(.usage, "\(shown) cannot be backed up: \(error)")
    }
    for folder in existing where overlaps(folder.root, root) {
      throw AgentError(
        .conflict,
        "\(shown) overlaps the folder \(folder.name) (\(String(decoding: folder.root, as: UTF8.self)))")
    }
    for own in ownPaths where overlaps(own, root) {
      throw AgentError(
        .conflict,
        "\(shown) overlaps Mantel's own \(String(decoding: own, as: UTF8.self)): choose another folder, or another --replica"
      )
    }
    let base = wish ?? shown.split(separator: "/").last.map(String.init) ?? "root"
    guard !base.isEmpty, base.utf8.count <= Limits.nameBytes else {
      throw AgentError(.usage, "a folder's name has 1 to \(Limits.nameBytes) bytes")
    }
    var source = SystemRandomNumberGenerator()
    return Folder(
      id: FolderID(high: source.next(), low: source.next()),
      name: free(base, taken: Set(existing.map(\.name))), root: root, excludes: excludes,
      filesystem: identity)
  }

  private static func free(_ base: String, taken: Set<String>) -> String {
    guard taken.contains(base) else { return base }
    var number = 2
    while taken.contains("\(base)-\(number)") { number += 1 }
    return "\(base)-\(number)"
  }

  /// One lies in the other, symbolic links resolved.
  static func overlaps(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    let (left, right) = (resolved(left), resolved(right))
    return left.starts(with: right) || right.starts(with: left)
  }

  private static func resolved(_ path: [UInt8]) -> [[UInt8]] {
    let text = String(decoding: path, as: UTF8.self)
    let real = Array(text.utf8) == path ? URL(fileURLWithPath: text).resolvingSymlinksInPath().path : text
    return Array(real.utf8).split(separator: UInt8(ascii: "/")).map(Array.init)
  }
}
