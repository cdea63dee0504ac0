import MantelControl

/// The demo's progress, redrawn in place; silent where there is no terminal.
struct DemoBoard: Sendable {
  private let console: Console
  private var drawnLines = 0

  init(console: Console) { self.console = console }

  mutating func show(_ statuses: [StatusAnswer]) {
    guard console.isMessageTerminal else { return }
    let lines = TextTable.lines(statuses.map(Self.row), indent: "  ")
    let up = drawnLines > 0 ? "\u{1b}[\(drawnLines)A" : ""
    let text = up + lines.map { "\($0)\u{1b}[K\n" }.joined()
    console.writeMessage(Array(text.utf8))
    drawnLines = lines.count
  }

  static func row(_ status: StatusAnswer) -> [String] {
    let missing =
      status.missing.files > 0
      ? "\(Quantity.files(status.missing.files)) (\(Quantity.bytes(status.missing.bytes))) to come" : ""
    return [
      Printable.text(status.machine.name), status.state,
      "\(Quantity.count(status.ledger.safe)) of \(Quantity.files(status.ledger.seen)) safe", missing,
      StatusText.progress(status) ?? "",
    ]
  }
}
