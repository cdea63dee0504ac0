import MantelControl

/// `mantel status` for people: the one word, then why, the ledger, the machines.
enum StatusText {
  static func text(_ status: StatusAnswer) -> String {
    var lines = [Printable.text(status.state)]
    lines += reasons(status).map { "  \($0)" }
    lines.append(ledger(status.ledger, of: status.machine.name))
    lines += peers(status)
    lines += status.trash.map(trash)
    if !status.forgotten.isEmpty {
      lines.append("forgotten, and still kept:")
      lines += ForgetText.kept(status.forgotten)
    }
    lines += status.notices.map { "notice: \(Printable.text($0))" }
    return lines.joined(separator: "\n") + "\n"
  }

  /// When no agent answers.
  static let off = "off\n"

  static func ledger(_ ledger: LedgerAnswer, of name: String) -> String {
    "\(Printable.text(name)): \(Quantity.files(ledger.seen)) seen = \(Quantity.count(ledger.safe)) safe"
      + " + \(Quantity.count(ledger.pending)) pending + \(Quantity.count(ledger.skipped)) skipped"
  }

  private static func reasons(_ status: StatusAnswer) -> [String] {
    var lines: [String] = []
    if status.complete {
      lines.append(
        status.role == "source"
          ? "the photos of this machine are proved to be on another one"
          : "this machine holds the photos of all others, and its own are proved to be on another one")
    }
    lines += status.reasons.map(reason)
    if let progress = progress(status) { lines.append(progress) }
    if status.complete, status.arriving > 0 {
      lines.append("+\(Quantity.count(status.arriving)) arriving: newer photos of that many machines")
    }
    if status.discovery != "running" {
      lines.append("peers are not discovered by themselves now: \(Printable.text(status.discovery))")
    }
    return lines
  }

  private static func reason(_ reason: ReasonAnswer) -> String {
    let size = reason.bytes.map { " (\(Quantity.bytes($0)))" } ?? ""
    return Printable.text(reason.message) + size
  }

  /// While something is copied: how fast, and for how long still.
  static func progress(_ status: StatusAnswer) -> String? {
    guard status.state == "copying", status.bytesPerSecond >= 1 else { return nil }
    let left = status.etaSeconds.map { ", about \(Quantity.duration($0)) left" } ?? ""
    return "copying at \(Quantity.rate(status.bytesPerSecond))\(left)"
  }

  private static func trash(_ trash: TrashAnswer) -> String {
    let first =
      switch trash.daysLeft {
      case 0: "at the next daily look, unless they are still needed here"
      case 1: "in 1 day of running"
      default: "in \(trash.daysLeft) days of running"
      }
    return "trash: \(Quantity.files(trash.files)) (\(Quantity.bytes(trash.bytes))) that "
      + "\(Printable.text(trash.machine)) forgot; the first go \(first)"
  }

  private static func peers(_ status: StatusAnswer) -> [String] {
    TextTable.lines(
      status.peers.map { peer in
        [
          Printable.text(peer.name) + (peer.role == "source" ? " (source)" : ""), peer.state,
          holdings(peer, now: status.time),
          peer.state == "connected" ? "" : seen(peer, now: status.time),
        ]
      }, indent: "  ")
  }

  /// What is proved of a machine, and how old the proof is.
  static func holdings(_ peer: PeerAnswer, now: String) -> String {
    let age = Quantity.age(peer.attested, now: now)
    if peer.complete { return "complete" + (age.map { " (proved \($0))" } ?? "") }
    if peer.lacks.files > 0 {
      return "lacks \(Quantity.files(peer.lacks.files)) (\(Quantity.bytes(peer.lacks.bytes)))"
    }
    return age.map { "not proved complete (last proof \($0))" } ?? "nothing proved yet"
  }

  static func seen(_ peer: PeerAnswer, now: String) -> String {
    Quantity.age(peer.lastSeen, now: now).map { "last seen \($0)" } ?? "never seen"
  }
}
