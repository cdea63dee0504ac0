/// What a folder's library lost within the last day of agent time, and the mass change that came of it.
package struct FolderLosses: Hashable, Sendable {
  /// What one hour of agent time took.
  package struct Hour: Hashable, Sendable {
    /// Whole hours of agent time before it.
    package var number: Int64
    /// Contents that were deleted or replaced, and not moved.
    package var contents: Int
    /// Files that went: the folder was larger by so many before.
    package var deletions: Int

    package init(number: Int64, contents: Int, deletions: Int) {
      self.number = number
      self.contents = contents
      self.deletions = deletions
    }
  }

  /// The numbers that tripped it.
  package struct MassChange: Hashable, Sendable {
    /// Contents that would have been lost within a day.
    package var contents: Int
    /// Files of the folder before that day's deletions.
    package var files: Int

    package init(contents: Int, files: Int) {
      self.contents = contents
      self.files = files
    }
  }

  /// Ascending, without repeats; hours that took nothing are left out.
  package var hours: [Hour]
  /// From the moment that the limit would have been passed until `folder accept`, or until nothing is held any more.
  package var massChange: MassChange?

  package init(hours: [Hour] = [], massChange: MassChange? = nil) {
    self.hours = hours
    self.massChange = massChange
  }

  package var isEmpty: Bool { hours.isEmpty && massChange == nil }
}
