import MantelControl
import MantelCore

extension AgentControl {
  static func answer(offline path: [UInt8], folder: String) -> ReasonAnswer {
    let part = path.isEmpty ? "" : "\(text(path).path) in "
    return ReasonAnswer(
      code: "folderOffline",
      message:
        "\(part)the folder \(folder) is not there (not mounted, something else in its place, or unreadable); "
        + "its copies are kept", folder: folder)
  }

  /// Names the folder, the numbers and the way out.
  static func answer(
    _ massChange: FolderLosses.MassChange, held: Int, folder: String
  ) -> ReasonAnswer {
    ReasonAnswer(
      code: "massChange",
      message:
        "much of the folder \(folder) was deleted or replaced within a day (\(massChange.contents) contents, of "
        + "\(massChange.files) files); "
        + "\(held) of these changes wait for you: `mantel folder accept \(folder)` if they are meant, "
        + "else put the files back; the other machines keep what they have of them, and new photos are still copied",
      files: held, folder: folder)
  }
}
