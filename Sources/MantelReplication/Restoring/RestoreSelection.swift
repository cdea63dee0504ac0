package import MantelCore

/// Which versions of a photo a restore brings back.
package enum RestoreScope: Hashable, Sendable {
  /// What is there, and what was deleted from a place where nothing is any more. What was replaced stays away: its place
  /// is taken by what the owner put there.
  case present
  /// Every version that is kept.
  case everything
  /// What was there at a moment: whatever was replaced or deleted since counts in the form that it had then.
  case asOf(WallTime)
}

/// Chooses versions from a library's entries in the order of their places, with memory for one place at a time. Pure.
package struct RestoreSelection: Sendable {
  private let scope: RestoreScope
  /// Entries of the place that is being read.
  private var versions: [InstalledEntry] = []

  package init(_ scope: RestoreScope) { self.scope = scope }

  /// Takes the next live or retired entry by library, folder and path. Returns what is to be restored of the place before
  /// it, once that is over: the version that gets the name first.
  package mutating func add(_ entry: InstalledEntry) -> [InstalledEntry] {
    var chosen: [InstalledEntry] = []
    if let last = versions.last, !Self.isSamePlace(last, entry) { chosen = finish() }
    versions.append(entry)
    return chosen
  }

  /// What is to be restored of the last place.
  package mutating func finish() -> [InstalledEntry] {
    defer { versions.removeAll() }
    return Self.choose(versions, scope)
  }

  static func choose(_ versions: [InstalledEntry], _ scope: RestoreScope) -> [InstalledEntry] {
    let live = versions.filter(\.entry.state.isLive)
    let retired = versions.compactMap(Retired.init).sorted { $0.isNewer(than: $1) }
    switch scope {
    case .present:
      if !live.isEmpty { return live }
      return retired.first { $0.reason != .replaced }.map { [$0.entry] } ?? []
    case .everything: return live + retired.map(\.entry)
    case .asOf(let moment):
      // The first that went since was there; what nothing has gone from is as it was.
      return retired.last { $0.at > moment }.map { [$0.entry] } ?? live
    }
  }

  private static func isSamePlace(_ left: InstalledEntry, _ right: InstalledEntry) -> Bool {
    left.library == right.library && left.entry.folder == right.entry.folder
      && left.entry.path == right.entry.path
  }

  private struct Retired {
    let entry: InstalledEntry
    let reason: EntryState.RetireReason
    let at: WallTime

    init?(_ installed: InstalledEntry) {
      guard case .retired(let reason, let at) = installed.entry.state else { return nil }
      (entry, self.reason, self.at) = (installed, reason, at)
    }

    /// Of two of one moment the one with the higher content: the same everywhere.
    func isNewer(than other: Retired) -> Bool {
      (at, entry.entry.content) > (other.at, other.entry.entry.content)
    }
  }
}
