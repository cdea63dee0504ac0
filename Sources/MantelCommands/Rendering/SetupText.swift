import MantelControl

/// What `init` and `join` have done, for people.
enum SetupText {
  static func text(_ answer: SetupAnswer) -> String {
    var rows = [
      ["machine", Printable.text(answer.machine.name)],
      ["household", Printable.text(answer.household.name)],
      ["machines", answer.members.map(Printable.text).joined(separator: ", ")],
      ["copies", Printable.text(answer.replica)],
    ]
    rows += answer.folders.map {
      ["folder", "\(Printable.text($0.name))  (\(Printable.path($0.directory)))"]
    }
    return TextTable.lines(rows).joined(separator: "\n") + "\n"
  }

  /// What to do next, after `init` or `join`. `formerCopies`: the replica, where it has those of another household.
  static func next(isFounder: Bool, hasFolders: Bool, formerCopies: String? = nil) -> [String] {
    var lines: [String] = []
    if let formerCopies {
      lines.append(
        "the copies from before stay in \(Printable.text(formerCopies)); if this household has those photos too, "
          + "`mantel replica adopt DIR` of it, before `mantel run`, saves sending them again")
    }
    if !hasFolders { lines.append("add photos: mantel folder add DIR") }
    lines.append("start it: mantel run, or for good: mantel service install")
    if isFounder { lines.append("then add a second machine: mantel invite") }
    return lines
  }
}
