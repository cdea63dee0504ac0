import MantelControl

/// `mantel forget` for people.
enum ForgetText {
  /// Before it is done: what, and an example.
  static func warning(_ answer: ForgetAnswer) -> String {
    var lines = ["\(what(answer)) will be forgotten:"]
    lines += answer.examples.map { "  \(Printable.path($0))" }
    let left = answer.live + answer.retired - answer.examples.count
    if left > 0 { lines.append("  and \(Quantity.count(left)) more") }
    lines += libraries(answer)
    if answer.asksOthers {
      lines.append("that is unusually much: other machines keep their copies until somebody confirms there")
    }
    return lines.joined(separator: "\n")
  }

  static func question(_ answer: ForgetAnswer) -> String {
    "forget \(Quantity.files(answer.live + answer.retired)) on all machines?"
  }

  static func summary(_ answer: ForgetAnswer) -> String {
    var lines: [String] = []
    switch (answer.undo, answer.dryRun) {
    case (false, true): lines.append(warning(answer))
    case (false, false): lines += ["forgot \(what(answer))"] + libraries(answer)
    case (true, true): lines += ["\(what(answer)) would be kept again"] + libraries(answer)
    case (true, false): lines += ["kept again: \(what(answer))"] + libraries(answer)
    }
    if answer.unfound.files > 0 {
      lines.append(
        "  \(Quantity.files(answer.unfound.files)) (\(Quantity.bytes(answer.unfound.bytes))): on no machine that is known to "
          + "have them; they are looked for")
    }
    lines += kept(answer.kept)
    if !answer.undo, !answer.dryRun {
      lines.append("`mantel forget --undo '\(Printable.text(answer.pattern))'` takes it back")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Where bytes still are, a line each.
  static func kept(_ kept: [KeptAnswer]) -> [String] {
    kept.map { "  \(Quantity.files($0.files)): \(Printable.text($0.message))" }
  }

  static func requests(_ requests: [ForgetRequestAnswer]) -> String {
    requests.map { request in
      let name = Printable.text(request.machine)
      let lines =
        [
          "\(name) asks to forget \(Quantity.files(request.photos.files)) (\(Quantity.bytes(request.photos.bytes))):"
        ]
        + request.examples.map { "  \(Printable.path($0))" }
        + ["`mantel forget --grant \(name)` forgets them, `mantel forget --decline \(name)` keeps them"]
      return lines.joined(separator: "\n") + "\n"
    }.joined()
  }

  /// A line for each, if there is more than one. They may have one name: the id tells them apart.
  private static func libraries(_ answer: ForgetAnswer) -> [String] {
    guard answer.libraries.count > 1 else { return [] }
    return answer.libraries.map {
      "  of \(Printable.text($0.machine)) (\($0.id.prefix(8))): \(Quantity.files($0.photos))"
    }
  }

  private static func what(_ answer: ForgetAnswer) -> String {
    var parts: [String] = []
    if answer.live > 0 { parts.append(Quantity.files(answer.live)) }
    if answer.retired > 0 {
      let noun = answer.retired == 1 ? "version" : "versions"
      parts.append("\(Quantity.count(answer.retired)) deleted or replaced \(noun)")
    }
    return parts.joined(separator: " and ") + " (\(Quantity.bytes(answer.contents.bytes)))"
  }
}
