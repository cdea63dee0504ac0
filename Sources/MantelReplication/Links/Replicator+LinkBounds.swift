import MantelCore
import MantelSummary

extension Replicator {
  /// How many contents one peer may say that it has: an honest one has no more than the libraries that it has told of name,
  /// and a few that its next head will name. Ids cost memory here, and random ones nothing to make.
  var contentsPerLink: Int {
    libraries.values.reduce(settings.unlistedContents) { sum, library in
      let heads = [library.installed, library.newest].compactMap(\.self)
      let entries = heads.map { min($0.record.counts.entries, UInt64(Limits.entriesPerLibrary)) }.max() ?? 0
      return sum + Int(entries)
    }
  }

  /// Whether the peer may name so many contents more; if not, its link is closed, and nothing more is taken from it.
  mutating func takesContents(_ count: Int, over id: LinkID) -> Bool {
    guard let link = links[id], !link.isOverLimit else { return false }
    let settled = link.comparison.map { contents.index.count(of: $0.settled) } ?? 0
    let named = max(contents.index.count(of: link.contents), settled)
    guard named + count > contentsPerLink else { return true }
    links[id]?.isOverLimit = true
    actions.append(.link(id, .close(.overLimit("more contents than its libraries name"))))
    return false
  }
}
