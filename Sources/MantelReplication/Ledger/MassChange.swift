import MantelCore

/// How much a folder may lose within a day before somebody is asked.
struct MassChangeLimit: Sendable {
  var contents: Int
  /// One in so many of the folder's files.
  var share: Int
  var window: Duration

  /// Both limits are passed: few losses never trip it, and neither does a small part of a large folder.
  func isExceeded(by contents: Int, of files: Int) -> Bool {
    contents > self.contents && contents * share > files
  }
}

extension FolderLosses {
  private static let hour: Int64 = 3_600_000_000_000

  /// Forgets what was lost before the window. An hour counts to its end: the window is up to an hour longer, never shorter.
  mutating func forget(before now: AgentTime, _ limit: MassChangeLimit) {
    let first = (now.nanoseconds - limit.window.inNanoseconds) / Self.hour
    hours.removeAll { $0.number < first }
  }

  /// What `contents` more losses would make of it: the numbers, if they are too many. `files` are those that the folder
  /// has now.
  func massChange(adding contents: Int, files: Int, _ limit: MassChangeLimit) -> MassChange? {
    let lost = contents + hours.reduce(0) { $0 + $1.contents }
    let before = files + hours.reduce(0) { $0 + $1.deletions }
    guard limit.isExceeded(by: lost, of: before) else { return nil }
    return MassChange(contents: lost, files: before)
  }

  mutating func add(contents: Int, deletions: Int, at now: AgentTime) {
    guard contents > 0 else { return }
    let number = now.nanoseconds / Self.hour
    if let last = hours.indices.last, hours[last].number == number {
      hours[last].contents += contents
      hours[last].deletions += deletions
    } else {
      hours.append(Hour(number: number, contents: contents, deletions: deletions))
    }
  }
}
