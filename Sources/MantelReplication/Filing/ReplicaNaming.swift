package import MantelCore

/// Names of directories and retired files in a replica. Pure.
package enum ReplicaNaming {
  /// The name a directory gets among those already taken: `wish`, or `wish (4 characters of the id)`, compared as a
  /// case-insensitive, normalising filesystem would.
  package static func directory(wish: String, id: String, taken: some Sequence<String>) -> String {
    let name = safe(wish)
    let folded = Set(taken.map(fold))
    if !folded.contains(fold(name)), !reserved.contains(fold(name)) { return name }
    for length in stride(from: 4, through: id.count, by: 4) {
      let candidate = "\(name) (\(id.prefix(length)))"
      if !folded.contains(fold(candidate)) { return candidate }
    }
    return "\(name) (\(id))"
  }

  /// Where a retired entry lies below its machine's directory: date and content in the name.
  package static func retired(
    folder: String, path: [UInt8], content: ContentID, at time: WallTime
  ) -> [UInt8] {
    let slash = UInt8(ascii: "/")
    let directory = path.lastIndex(of: slash).map { Array(path[...$0]) } ?? []
    var name = Array(path[directory.count...])
    let mark = Array(" (\(date(time)) \(content.short))".utf8)
    var suffix: [UInt8] = []
    if let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0, name.count - dot <= 16 {
      suffix = Array(name[dot...])
      name = Array(name[..<dot])
    }
    let room = Limits.pathComponentBytes - mark.count - suffix.count
    return Array(".retired/\(folder)/".utf8) + directory + start(of: name, room) + mark + suffix
  }

  /// At most `count` bytes; characters of a name that is UTF-8 stay whole.
  private static func start(of name: [UInt8], _ count: Int) -> ArraySlice<UInt8> {
    guard name.count > count else { return name[...] }
    var end = count
    while end > count - 4, end > 0, name[end] & 0xC0 == 0x80 { end -= 1 }
    return name[..<end]
  }

  /// `2026-11-23`, in UTC. Days to civil date as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  package static func date(_ time: WallTime) -> String {
    let days = Int((Double(time.seconds) / 86_400).rounded(.down)) + 719_468
    let era = (days >= 0 ? days : days - 146_096) / 146_097
    let dayOfEra = days - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shifted + 2) / 5 + 1
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year)-\(two(month))-\(two(day))"
  }

  private static let reserved: Set<String> = [".mantel", ".retired", ".", ".."]

  /// Swift compares strings by canonical equivalence, so lower case is all that folding needs here.
  private static func fold(_ name: String) -> String { name.lowercased() }

  private static func safe(_ wish: String) -> String {
    var name = ""
    for character in wish.unicodeScalars {
      let isPlain = character.value >= 32 && character != "/" && character.value != 127
      name.unicodeScalars.append(isPlain ? character : "_")
    }
    // Leaves room for the mark of the id.
    while name.utf8.count > Limits.nameBytes { name.removeLast() }
    return name.isEmpty ? "_" : name
  }
}
