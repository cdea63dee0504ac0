import MantelControl

/// What `restore`, `check` and `drill` say to people.
enum JobText {
  /// `restoring: 1,203 of 5,000 files (3.1 GB of 9.9 GB)`
  static func progress(_ answer: JobAnswer, verb: String) -> String {
    let done = answer.processed
    guard let total = answer.total else {
      return "\(verb): \(Quantity.files(done.files)) (\(Quantity.bytes(done.bytes)))"
    }
    return "\(verb): \(Quantity.count(done.files)) of \(Quantity.files(total.files))"
      + " (\(Quantity.bytes(done.bytes)) of \(Quantity.bytes(total.bytes)))"
  }

  // MARK: Restore

  static func restored(_ item: JobItem) -> String {
    let target = item.target.map { " -> \(Printable.path($0))" } ?? ""
    let words = item.message.map { ": \(Printable.sentence($0))" } ?? ""
    switch item.state {
    case "wouldRestore": return "\(name(item))\(target)  (\(item.message.map(Printable.sentence) ?? ""))"
    case "suffixed": return "under another name: \(name(item))\(target)\(words)"
    default: return "not restored: \(name(item))\(words)"
    }
  }

  static func restoreSummary(_ answer: JobAnswer, isDryRun: Bool) -> String {
    guard let total = answer.total, total.files > 0 else { return "no photo matches: nothing to restore\n" }
    if isDryRun {
      return "would restore \(Quantity.files(total.files)) (\(Quantity.bytes(total.bytes)))\n"
    }
    let bytes = (answer.counts["restored"]?.bytes ?? 0) + (answer.counts["suffixed"]?.bytes ?? 0)
    let written = answer.files("restored") + answer.files("suffixed")
    var parts = [
      written == 0 ? "restored nothing" : "restored \(Quantity.files(written)) (\(Quantity.bytes(bytes)))"
    ]
    if answer.files("present") > 0 {
      parts.append("\(Quantity.count(answer.files("present"))) already there")
    }
    if answer.files("suffixed") > 0 {
      parts.append("\(Quantity.count(answer.files("suffixed"))) of them under another name")
    }
    if answer.files("failed") > 0 { parts.append("\(Quantity.count(answer.files("failed"))) not restored") }
    return parts.joined(separator: ", ") + "\n"
  }

  // MARK: Check

  static func checked(_ item: JobItem) -> String {
    "not safe: \(item.path.map(Printable.path) ?? ""): \(Printable.sentence(item.message ?? item.state))"
  }

  static func checkSummary(_ answer: JobAnswer) -> String {
    let unsafe = unsafeFiles(answer)
    let skipped =
      answer.files("skipped") > 0
      ? "; \(Quantity.count(answer.files("skipped"))) temporary or system files and links were not looked at"
      : ""
    let files = answer.files("safe") + unsafe
    guard files > 0 else { return "no files\(skipped)\n" }
    guard unsafe > 0 else {
      return
        "\(files == 1 ? "the one file is" : "all \(Quantity.files(files)) are") safe on another machine\(skipped)\n"
    }
    return "\(Quantity.count(answer.files("safe"))) of \(Quantity.files(files)) are safe on another machine,"
      + " \(Quantity.count(unsafe)) not\(skipped)\n"
  }

  static func unsafeFiles(_ answer: JobAnswer) -> Int {
    ["onlyHere", "unknown", "unreadable"].reduce(0) { $0 + answer.files($1) }
  }

  // MARK: Drill

  /// `ben: right: 5 of 5 of its photos came back from the replica here; ...`
  static func drilled(_ item: JobItem) -> String {
    let word = item.state == "right" ? "right" : item.state == "wrong" ? "WRONG" : "not tried"
    return "\(Printable.text(item.machine ?? "")): \(word): \(Printable.sentence(item.message ?? ""))"
  }

  private static func name(_ item: JobItem) -> String {
    [item.machine.map(Printable.text), item.folder.map(Printable.text), item.path.map(Printable.path)]
      .compactMap(\.self).joined(separator: "/")
  }
}
