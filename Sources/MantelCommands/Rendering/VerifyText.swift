import MantelControl

/// `mantel verify` for people.
enum VerifyText {
  static func progress(_ answer: VerifyAnswer) -> String {
    guard answer.state == "reading" else {
      return "healing: \(Quantity.files(answer.stillBad)) left"
    }
    let percent = answer.total.bytes == 0 ? 100 : min(100, answer.bytes * 100 / answer.total.bytes)
    let bad = answer.bad == 0 ? "" : ", \(Quantity.count(answer.bad)) bad"
    return "\(percent) %: \(Quantity.count(answer.files)) of \(Quantity.files(answer.total.files)), "
      + "\(Quantity.bytes(answer.bytes)) of \(Quantity.bytes(answer.total.bytes))\(bad)"
  }

  static func summary(_ answer: VerifyAnswer) -> String {
    var lines = ["\(ending(answer)): \(Quantity.files(answer.files)) (\(Quantity.bytes(answer.bytes))) read"]
    if answer.bad == 0 {
      lines.append("nothing was bad")
    } else {
      let disk = answer.disk.map { " on \(Printable.text($0))" } ?? ""
      lines.append(
        "\(Quantity.files(answer.bad)) bad\(disk), \(Quantity.count(answer.healed)) of them healed")
    }
    if answer.stillBad > 0 {
      lines.append(
        "\(Quantity.files(answer.stillBad)) still bad: each is fetched again as soon as a machine that has it is connected"
      )
    }
    if answer.suspected > 0 {
      lines.append(
        "\(Quantity.files(answer.suspected)) of this machine's own folders changed though nobody wrote to them: "
          + "`mantel status` tells what to do")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func ending(_ answer: VerifyAnswer) -> String {
    switch answer.state {
    case "done": "done"
    case "unavailable": "ended early: the replica's disk is not there"
    default: "stopped"
    }
  }
}
