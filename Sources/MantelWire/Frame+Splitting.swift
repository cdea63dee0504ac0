import MantelCore

extension Frame {
  /// ROSTER frames that carry the statements in order, as many in each as fit. None for no statements.
  package static func rosters(_ statements: [[UInt8]]) -> [Frame] {
    Array.cut(statements, frameBytes: Limits.frameBytes - 2, itemLimit: Limits.statements) {
      2 + $0.count
    }.map(Frame.roster)
  }

  /// ENTRIES frames that carry the entries' canonical bytes in order, as many in each as fit. None for no entries.
  package static func entriesFrames(_ request: RequestID, _ entries: [[UInt8]]) -> [Frame] {
    Array.cut(
      entries, frameBytes: Limits.frameBytes - FrameLimits.requestBytes - 2, itemLimit: Limits.idsPerFrame
    ) {
      2 + $0.count
    }.map { .entries(request, $0) }
  }
}

extension Array {
  /// Consecutive runs of items, each run of at most `itemLimit` items and `frameBytes` bytes (a longer item alone).
  fileprivate static func cut(
    _ items: [Element], frameBytes: Int, itemLimit: Int, bytes: (Element) -> Int
  ) -> [[Element]] {
    var runs: [[Element]] = []
    var run: [Element] = []
    var used = 0
    for item in items {
      let size = bytes(item)
      if !run.isEmpty, used + size > frameBytes || run.count == itemLimit {
        runs.append(run)
        run = []
        used = 0
      }
      run.append(item)
      used += size
    }
    if !run.isEmpty { runs.append(run) }
    return runs
  }
}
