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

  /// Says whose word it was, and both ways on.
  static func answer(heldDrops machine: String, files: Int, bytes: UInt64) -> ReasonAnswer {
    ReasonAnswer(
      code: "heldDrops",
      message:
        "\(machine) forgot, or let expire, unusually many photos at once, or was removed after it did so: \(files) copies "
        + "stay here until you decide. `mantel forget --accept \(machine)` lets them go (to the trash, for 30 days), "
        + "`mantel forget --refuse \(machine)` keeps them; `mantel forget --undo` on \(machine) takes it back",
      machine: machine, files: files, bytes: bytes)
  }

  /// Who asks for so much, and both ways on. What is deleted there ends nothing: it stays in the library, retired.
  static func answer(heldGrowth machine: String, entries: Int, isFirst: Bool) -> ReasonAnswer {
    let what = isFirst ? "has \(entries) files" : "grew by \(entries) files within a day"
    return ReasonAnswer(
      code: "heldGrowth",
      message:
        "\(machine)'s library \(what): what is new of it is not copied here until you say that it is meant, with "
        + "`mantel peers accept \(machine)`; if not, and it is a member still, take the machine out of the household "
        + "(`mantel peers remove \(machine)`)",
      machine: machine, files: entries)
  }

  static func answer(forked machine: String) -> ReasonAnswer {
    ReasonAnswer(
      code: "forked",
      message:
        "\(machine) signed two different histories of its library; the one that came first stays here. If its disk was "
        + "copied, give one of the two a key of its own (`mantel rekey CODE` there), and `mantel verify --acknowledge` ends "
        + "this; if not, somebody else may have its key: `mantel peers remove \(machine)`",
      machine: machine)
  }

  static func answer(largeShare machine: String, bytes: UInt64) -> ReasonAnswer {
    ReasonAnswer(
      code: "largeShare",
      message:
        "what is missing of \(machine)'s photos takes more than a third of the free space of the replica's disk; they are "
        + "copied all the same",
      machine: machine, bytes: bytes)
  }

  /// What to look at, and the way out; it ends by itself.
  static let replicaReadOnly = ReasonAnswer(
    code: "replicaReadOnly",
    message:
      "the filesystem of the replica is read-only: nothing is copied there. It was mounted so, or the kernel made it so after an "
      + "error: `mount` and `dmesg` tell which. If the disk is good, remount it for writing (`mount -o remount,rw`); copying goes "
      + "on within a minute")

  static func answer(unhealable files: Int) -> ReasonAnswer {
    ReasonAnswer(
      code: "unhealable",
      message:
        "\(files) copies were found bad, and no machine is known to have the right bytes: put them back from elsewhere (the bad "
        + "ones lie in the quarantine, `mantel verify` lists them)",
      files: files)
  }

  static func answer(damage: String, replica: String) -> ReasonAnswer {
    ReasonAnswer(
      code: "catalogDamaged",
      message:
        "the catalog is damaged (\(damage)): the disk may be failing; stop the agent, and `mantel replica adopt \(replica)` "
        + "rebuilds it from the copies and from the other machines; no photo is sent again")
  }

  static func answer(lost files: Int) -> ReasonAnswer {
    ReasonAnswer(
      code: "lost",
      message:
        "\(files) deleted or replaced photos of this machine, or photos of a removed one whose library it keeps, are on no machine that was seen within 30 days, and none has had them for a week: "
        + "`mantel ls --retired` lists them as unheld, `mantel verify --acknowledge` ends this; a machine that turns up with "
        + "them brings them back", files: files)
  }
}
