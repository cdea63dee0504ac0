import MantelControl

/// What `mantel replica` says.
enum ReplicaText {
  static func adopted(_ answer: AdoptAnswer) -> String {
    var text = "adopted \(Printable.text(answer.replica)): \(Quantity.files(answer.files)), "
    text += "\(Quantity.bytes(answer.bytes))\n"
    if answer.rebuilt {
      text +=
        "the catalog was made anew; this machine is a member of \(Printable.text(answer.household)) again\n"
    }
    if let setAside = answer.setAside {
      text += "the damaged catalog is kept as \(Printable.text(setAside))\n"
    }
    if answer.rebuilt, !answer.folders.isEmpty {
      text += "folders:\n"
      for folder in answer.folders {
        text += "  \(Printable.text(folder.name))  (\(Printable.path(folder.directory)))\n"
      }
    }
    for file in answer.unreadable {
      text += "cannot be read: \(Printable.path(file.path)): \(Printable.text(file.message))\n"
    }
    return text + "next: `mantel run`; the rest is learned from the other machines\n"
  }

  static func rekeyed(_ answer: RekeyAnswer) -> String {
    """
    this is \(Printable.text(answer.machine.name)) (\(answer.machine.id.prefix(8))) now; it was \(answer.formerID.prefix(8))
    the former key is kept as \(Printable.text(answer.formerKey))
    next: `mantel run`; its photos are hashed and published anew, none is sent again

    """
  }

  static func moved(_ answer: MoveAnswer) -> String {
    "the replica is \(Printable.text(answer.replica)) now (it was \(Printable.text(answer.from)))\n"
  }
}
