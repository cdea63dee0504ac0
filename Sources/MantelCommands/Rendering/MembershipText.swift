import MantelControl

/// `mantel role`, `mantel leave` and `mantel release` for people: what each would do, and what it did.
enum MembershipText {
  private static func names(_ machines: [String]) -> String {
    machines.map(Printable.text).joined(separator: ", ")
  }

  private static func amount(_ count: FileCount) -> String {
    "\(Quantity.files(count.files)) (\(Quantity.bytes(count.bytes)))"
  }

  private static func keepers(_ machines: [String]) -> String {
    machines.isEmpty
      ? "then no machine keeps copies any more: photos are on their own machine alone"
      : machines.count == 1
        ? "then \(names(machines)) is the only machine that keeps copies"
        : "then these machines keep copies: \(names(machines))"
  }

  // MARK: Role

  static func explanation(_ answer: RoleAnswer) -> String {
    guard answer.role == "full" else {
      return [
        "other machines' photos are not copied here any more; \(amount(answer.copies)) that are here stay, and are not "
          + "counted as copies any more (`mantel release` frees them)",
        keepers(answer.fullMachines),
      ].joined(separator: "\n")
    }
    let room = answer.freeBytes.map { "; \(Quantity.bytes($0)) are free for copies" } ?? ""
    return "\(amount(answer.missing)) of other machines are copied here from now on\(room)\n"
      + keepers(answer.fullMachines)
  }

  static func summary(_ answer: RoleAnswer) -> String {
    answer.role == "full"
      ? "this machine is full: it keeps copies for the others\n"
      : "this machine is a source: it gives its own photos and takes none\n"
  }

  // MARK: Leaving

  static func explanation(_ answer: LeaveAnswer) -> String {
    var lines: [String] = []
    if answer.unsafe > 0 {
      lines.append("\(Quantity.files(answer.unsafe)) of this machine are not known to be on another one")
    }
    if answer.onlyHere > 0 {
      lines.append(
        "\(Quantity.files(answer.onlyHere)) of other machines are, as far as is known, nowhere but here: wait for "
          + "`mantel status` to say complete on a machine that keeps copies")
    }
    lines.append(
      "the copies of other machines' photos, \(amount(answer.copies)), stay in \(Printable.text(answer.replica)), and are "
        + "neither renewed nor checked any more")
    if !answer.told.isEmpty {
      lines.append("the others keep their copies of this machine's photos")
      lines.append(keepers(answer.fullMachines))
    }
    return lines.joined(separator: "\n")
  }

  static func summary(_ answer: LeaveAnswer) -> String {
    let household = Printable.text(answer.household)
    guard !answer.told.isEmpty else {
      return
        "left \(household), which had no other machine; the agent can be stopped (`mantel service remove`)\n"
    }
    return "left \(household); whoever is connected is told, and tells the others: \(names(answer.told))\n"
      + "once `mantel peers` there does not list this machine any more, the agent can be stopped here "
      + "(`mantel service remove`)\n"
  }

  // MARK: Release

  static func explanation(_ answer: ReleasePreviewAnswer) -> String {
    var lines = [
      "\(amount(answer.copies)) of other machines lie here, \(Quantity.count(answer.contents)) different photos",
      "\(names(answer.fullMachines)) keep copies, and say to hold \(Quantity.count(answer.attested)) of them: each is asked to "
        + "show a part of each photo before it is deleted here",
    ]
    if answer.single > 0 {
      lines.append("\(Quantity.count(answer.single)) photos are then on one machine only")
    }
    return lines.joined(separator: "\n")
  }

  static func progress(_ answer: ReleaseAnswer) -> String {
    "\(Quantity.files(answer.looked.files)) looked at, \(amount(answer.released)) deleted"
  }

  static func summary(_ answer: ReleaseAnswer) -> String {
    var lines = ["\(answer.state == "done" ? "done" : "stopped"): \(amount(answer.released)) deleted here"]
    if let refusal = answer.refusal { lines.append(Printable.text(refusal)) }
    lines += answer.kept.map { "\(amount($0.copies)) stay: \(Printable.text($0.message))" }
    return lines.joined(separator: "\n") + "\n"
  }
}
