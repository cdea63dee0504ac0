/// How many contents of a library may be dropped within the time of the trash without a question:
/// max(least, min(most, an n-th of its entries)).
struct DropLimit: Hashable, Sendable {
  var least: Int
  var most: Int
  /// One in so many entries.
  var share: Int

  func contents(entries: UInt64) -> Int {
    max(least, min(most, Int(clamping: entries) / share))
  }
}
