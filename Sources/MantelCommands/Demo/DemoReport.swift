import MantelControl

/// What the demo has shown; `mantel demo --json`.
struct DemoReport: Codable, Hashable, Sendable {
  struct Machine: Codable, Hashable, Sendable {
    var name: String
    var state: String
    /// Files of its own, and their bytes.
    var ownFiles: Int
    var ownBytes: UInt64
    /// Copies of the others' photos that lie here.
    var copies: Int
    var copiedBytes: UInt64
    /// Where its own photos and the copies lie.
    var photos: String
    var replica: String
  }
  var machines: [Machine]
  /// `avahi` or `direct`: how the machines found each other.
  var discovery: String
  /// Copies that were compared byte for byte, by name and by time with their originals.
  var comparedCopies: Int
  var comparedBytes: UInt64
  /// Merkle roots over the contents of each machine's library, the same on all machines.
  var roots: [String: String]
  /// Files of the sources that are not backed up, each with a reason.
  var skipped: Int
  var seconds: Double
  /// Where everything lies with `--keep`.
  var kept: String?

  var text: String {
    let rows = machines.map { machine in
      [
        Printable.text(machine.name), machine.state,
        "own \(Quantity.files(machine.ownFiles)), \(Quantity.bytes(machine.ownBytes))",
        "copies of the others' \(Quantity.files(machine.copies)), \(Quantity.bytes(machine.copiedBytes))",
      ]
    }
    var lines = TextTable.lines(rows)
    lines.append(
      discovery == "avahi"
        ? "they found each other through Avahi"
        : "they reached each other by direct addresses: Avahi did not show them to each other here")
    lines.append(
      "\(Quantity.count(comparedCopies)) copies (\(Quantity.bytes(comparedBytes))) compared with their originals: "
        + "every byte, name and time is the same")
    lines += roots.sorted { $0.key < $1.key }.map { name, root in
      "root of \(Printable.text(name))'s photos: \(root.prefix(16)), the same on every machine, and all of it held"
    }
    lines.append("the sums that any two machines list for a third one's photos are the same")
    if skipped > 0 {
      lines.append("\(Quantity.files(skipped)) skipped, each with its reason (mantel skipped)")
    }
    lines.append("it took \(Quantity.duration(seconds))")
    if let kept {
      lines.append("look at the copies:")
      lines += machines.map { "  \(Printable.text($0.replica))" }
      lines.append(
        "run a machine of it again: mantel run --home \(Printable.text(kept))/\(machines.first?.name ?? "")")
    } else {
      lines.append("everything is removed again; --keep leaves it there to look at")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
