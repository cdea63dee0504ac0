import MantelControl

/// Lines of `ls`, `where`, `skipped` and `folder list` for people.
enum FilesText {
  private static let sizeWidth = 7

  /// `3 of 3   2.1 MB  2024-05-01  attic/Photos/a.jpg`
  static func line(_ file: FileAnswer) -> String {
    let safe = "\(file.copies) of \(file.filesystems)"
    let state = file.state == "live" ? "" : "  [\(Printable.text(file.state))]"
    return [
      TextTable.paddedLeft(safe, 6), TextTable.paddedLeft(Quantity.bytes(file.size), sizeWidth),
      Quantity.day(file.modified), name(file) + state,
    ].joined(separator: "  ")
  }

  static func name(_ file: FileAnswer) -> String {
    "\(Printable.text(file.machine))/\(Printable.text(file.folder))/\(Printable.path(file.path))"
  }

  static func line(_ file: SkippedAnswer) -> String {
    "\(Printable.text(file.folder))/\(Printable.path(file.path)): \(Printable.text(file.message))"
  }

  /// What a content is called, and who has it.
  static func text(_ answer: WhereAnswer) -> String {
    let size = answer.size.map { "  \(Quantity.bytes($0))" } ?? ""
    var lines = [answer.sha256 + size]
    if answer.names.isEmpty { lines.append("  in no library of the household") }
    lines += answer.names.map { "  \(name($0))" + ($0.state == "live" ? "" : "  [\($0.state)]") }
    if answer.holders.isEmpty { lines.append("held by no machine that is known here") }
    for holder in answer.holders {
      lines.append("held by \(Printable.text(holder.machine)): \(proof(holder))")
      lines += holder.paths.map { "    \(Printable.path($0))" }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func proof(_ holder: WhereAnswer.Holder) -> String {
    let reread = holder.reread.map { ", last re-read \($0)" } ?? ""
    switch holder.proof {
    case "here": return "checked on this machine\(reread)"
    case "attested":
      return "signed statement" + (holder.reread.map { ", everything there re-read since \($0)" } ?? "")
    case "connected": return "says so now, not yet in a signed statement"
    default: return Printable.text(holder.proof) + reread
    }
  }

  static func folders(_ folders: [FolderAnswer]) -> String {
    guard !folders.isEmpty else { return "no folders: `mantel folder add DIR`\n" }
    let rows = folders.map { folder in
      [
        Printable.text(folder.name), folder.state, "\(Quantity.count(folder.ledger.seen)) seen",
        "\(Quantity.count(folder.ledger.safe)) safe", "\(Quantity.count(folder.ledger.pending)) pending",
        "\(Quantity.count(folder.ledger.skipped)) skipped",
        folder.held > 0 ? "\(Quantity.count(folder.held)) held" : "", Printable.path(folder.directory),
      ]
    }
    return TextTable.lines(rows).joined(separator: "\n") + "\n"
  }
}
