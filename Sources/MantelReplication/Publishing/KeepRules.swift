package import MantelCore

/// How long the own library keeps the versions of files that were replaced; what was deleted stays for ever. Pure.
///
/// By default photos, raws and videos are kept for ever, sidecars and others for 90 agent days, and at most 10 versions of
/// each. The first version of a photo, raw or video never expires by time: it is what came out of the camera.
package struct KeepRules: Hashable, Sendable {
  package struct Rule: Hashable, Sendable {
    /// Agent days since the version was replaced; nil: for ever.
    package var days: Int?
    /// Replaced versions of a path; nil: all.
    package var versions: Int?

    package init(days: Int? = nil, versions: Int? = nil) {
      self.days = days
      self.versions = versions
    }

    package static let forEver = Rule()
  }

  private var rules: [EntryKind: Rule] = [
    .sidecar: Rule(days: 90, versions: 10), .other: Rule(days: 90, versions: 10),
  ]

  package init() {}

  package subscript(kind: EntryKind) -> Rule {
    get { rules[kind] ?? .forEver }
    set { rules[kind] = newValue == .forEver ? nil : newValue }
  }

  /// Kinds of which something may expire.
  package var expiringKinds: Set<EntryKind> { Set(rules.keys) }

  /// What expires of the replaced versions of one path, the oldest first. Versions are ordered by the heads that replaced
  /// them, and count their days from when they were noted, in agent time: a wall clock that was wrong changes nothing.
  func expired(_ versions: [RetiredEntry], at now: AgentTime) -> [RetiredEntry] {
    // Of one head are only those of a library that was recovered.
    let versions = versions.sorted {
      ($0.since, $0.entry.retiredAt, $0.id) < ($1.since, $1.entry.retiredAt, $1.id)
    }
    let isFirstKnown = versions.contains(where: \.isFirst)
    return versions.enumerated().filter { index, version in
      let rule = self[version.entry.kind]
      guard let noted = version.noted else { return false }
      if let limit = rule.versions, versions.count - index > limit { return true }
      guard let days = rule.days else { return false }
      let isFirst = version.entry.kind.isOriginal && (isFirstKnown ? version.isFirst : index == 0)
      return !isFirst && noted + .agentDay * days <= now
    }.map(\.element)
  }
}

extension EntryKind {
  /// Made by a camera, and not by a program beside it.
  var isOriginal: Bool {
    switch self {
    case .photo, .raw, .video: true
    case .sidecar, .other: false
    }
  }
}

extension Entry {
  fileprivate var retiredAt: WallTime {
    if case .retired(_, let at) = state { at } else { WallTime(nanoseconds: .max) }
  }
}
