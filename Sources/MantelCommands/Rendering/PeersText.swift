import MantelControl

/// `mantel peers` for people.
enum PeersText {
  private static let none = "-"

  /// `now`: the agent's time, ISO 8601. `isPinged`: how long each connection took to answer is told too.
  static func table(_ answer: PeersAnswer, now: String, isPinged: Bool = false) -> String {
    var lines: [String] = []
    if answer.peers.isEmpty {
      lines.append("no other machine yet: `mantel invite` here, `mantel join CODE` there")
    } else {
      let head = [
        "MACHINE", "STATE", "HOLDS", "LAST SEEN", "PHOTOS", "HERE", "IN", "OUT", "ADDRESS", "VERSION",
      ]
      let rows = [head + (isPinged ? ["PING"] : [])]
      lines += TextTable.lines(
        rows + answer.peers.map { row($0, now: now) + (isPinged ? [roundTrip($0)] : []) })
    }
    lines += answer.fixedAddresses.map { "fixed address: \(Printable.text($0))" }
    lines += answer.admitted.map {
      "admitted, has not joined yet: \(Printable.text($0.name)) (\($0.id.prefix(8))) by "
        + Printable.text($0.admittedBy)
    }
    lines += answer.removed.map {
      "removed: \(Printable.text($0.name)) (\($0.id.prefix(8))) by \(Printable.text($0.removedBy))"
    }
    lines += answer.strangers.map {
      "stranger: \(Printable.text($0.instance)) at \(Printable.text($0.address))"
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func row(_ peer: PeerAnswer, now: String) -> [String] {
    [
      Printable.text(peer.name), peer.state, StatusText.holdings(peer, now: now), seen(peer, now),
      peer.library.map { Quantity.count($0.files) } ?? none, Quantity.count(peer.heldHere),
      Quantity.rate(peer.receivedBytesPerSecond), Quantity.rate(peer.sentBytesPerSecond),
      peer.address.map(Printable.text) ?? none, peer.version.map(Printable.text) ?? none,
    ]
  }

  private static func roundTrip(_ peer: PeerAnswer) -> String {
    peer.roundTripSeconds.map { "\(($0 * 10_000).rounded() / 10) ms" } ?? none
  }

  private static func seen(_ peer: PeerAnswer, _ now: String) -> String {
    peer.state == "connected" ? "now" : Quantity.age(peer.lastSeen, now: now) ?? "never"
  }

  /// One machine, a line per fact.
  static func details(_ peer: PeerAnswer, now: String) -> String {
    let library = peer.library.map { "\(Quantity.files($0.files)), \(Quantity.bytes($0.bytes))" }
    let skew = peer.clockSkewSeconds.map { seconds in
      abs(seconds) < 1
        ? "right" : "\(Quantity.duration(abs(seconds))) \(seconds > 0 ? "ahead" : "behind")"
    }
    let rows =
      [
        ["machine", Printable.text(peer.name)], ["id", peer.id], ["role", peer.role],
        ["state", peer.state], ["holds", StatusText.holdings(peer, now: now)],
        ["last seen", seen(peer, now)], ["last proof", Quantity.age(peer.attested, now: now) ?? none],
        ["all re-read since", Quantity.age(peer.reread, now: now) ?? none],
        ["its photos", library ?? "not known yet"], ["of them here", Quantity.files(peer.heldHere)],
        ["receiving", Quantity.rate(peer.receivedBytesPerSecond)],
        ["sending", Quantity.rate(peer.sentBytesPerSecond)],
        ["address", peer.address.map(Printable.text) ?? none], ["clock", skew ?? none],
        ["version", peer.version.map(Printable.text) ?? none],
      ] + (peer.roundTripSeconds == nil ? [] : [["ping", roundTrip(peer)]])
    return TextTable.lines(rows).joined(separator: "\n") + "\n"
  }

  /// The machines of that name, or whose id begins so.
  static func matching(_ name: String, in answer: PeersAnswer) -> [PeerAnswer] {
    let named = answer.peers.filter { $0.name == name }
    guard named.isEmpty, name.count >= 8 else { return named }
    return answer.peers.filter { $0.id.hasPrefix(name.lowercased()) }
  }
}
