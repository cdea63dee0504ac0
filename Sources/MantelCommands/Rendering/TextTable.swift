/// Columns of text, each as wide as its widest cell.
enum TextTable {
  private static let gap = "  "

  /// One line per row, no blanks at the ends; short rows are fine.
  static func lines(_ rows: [[String]], indent: String = "") -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let cells = row.enumerated().map { column, cell in padded(cell, widths[column]) }
      var line = indent + cells.joined(separator: gap)
      while line.last == " " { line.removeLast() }
      return line
    }
  }

  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  static func paddedLeft(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
