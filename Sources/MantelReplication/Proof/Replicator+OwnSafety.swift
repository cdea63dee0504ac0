package import MantelCore
package import MantelSummary

/// Which of the own live contents some other machine is known to hold.
package enum OwnSafety: Sendable {
  case allBut([ContentID])
  case only([ContentID])
  case mixed(SetSnapshot)
}

extension Replicator {
  /// What of the own live contents is safe, told by the few that are, or by the few that are not, so that nobody has to look
  /// at all files while nearly all are the one or the other.
  package mutating func ownSafety() -> OwnSafety {
    let live = contents.sets(of: machine).live
    if let few = few(in: [live], notIn: [contents.safe]) { return .allBut(few) }
    if let few = few(in: [live, contents.safe], notIn: []) { return .only(few) }
    return .mixed(safeContents)
  }

  /// Own contents that some other machine is known to hold.
  package var safeContents: SetSnapshot {
    mutating get { contents.index.snapshot(of: contents.safe) }
  }

  /// Nil when they are many.
  private func few(in included: [SetHandle], notIn excluded: [SetHandle]) -> [ContentID]? {
    var found: [ContentID] = []
    contents.index.forEach(in: included, notIn: excluded, from: .zero) {
      found.append(ContentID($0))
      return found.count <= settings.safetyList
    }
    return found.count <= settings.safetyList ? found : nil
  }
}
