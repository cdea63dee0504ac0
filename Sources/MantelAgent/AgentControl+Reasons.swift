import MantelControl
import MantelCore
import MantelHousehold
import MantelReplication

/// Words for what `status` says: why a machine is not complete, what to do about it, and what is only to be known.
extension AgentControl {
  static func answer(
    _ reason: StatusReason, _ names: [MachineID: String], folders: [FolderID: String]
  ) -> ReasonAnswer {
    func name(_ machine: MachineID) -> String { names[machine] ?? machine.short }
    switch reason {
    case .scanning: return ReasonAnswer(code: "scanning", message: "the folders are being scanned")
    case .pending(let files):
      return ReasonAnswer(
        code: "pending", message: "\(files) of this machine's files are not in its library yet",
        files: files)
    case .missing(let files, let bytes):
      return ReasonAnswer(
        code: "missing", message: "\(files) photos of other machines are not here yet",
        files: files, bytes: bytes)
    case .headsArriving(let machine):
      return ReasonAnswer(
        code: "headsArriving", message: "\(name(machine)) has news that are not all here yet",
        machine: name(machine))
    case .noHead(let machine):
      return ReasonAnswer(
        code: "noHead", message: "\(name(machine)) has not told its photos yet",
        machine: name(machine))
    case .noSecondMachine:
      return ReasonAnswer(
        code: "noSecondMachine",
        message: "no second machine keeps copies yet: `mantel invite` here, `mantel join CODE` there")
    case .unsafe(let files):
      return ReasonAnswer(
        code: "unsafe",
        message: "\(files) of this machine's files are not known to be on another machine", files: files)
    case .notOnDisk(let files): return Self.answer(notOnDisk: files)
    case .filing: return ReasonAnswer(code: "filing", message: "copies are being put in their places")
    case .diskSpace:
      return ReasonAnswer(
        code: "diskSpace",
        message:
          "the replica's disk, or the one with the catalog, is full up to its reserve; copies that need room on it wait"
      )
    case .catalogSpace(let machine, let bytes): return Self.answer(catalogSpace: name(machine), bytes: bytes)
    case .replicaReadOnly: return Self.replicaReadOnly
    case .noPeerConnected:
      return ReasonAnswer(code: "noPeerConnected", message: "no other machine is connected now")
    case .restored(let waitingFor):
      let machines = waitingFor.map { name($0) }.joined(separator: ", ")
      return ReasonAnswer(
        code: "restored",
        message:
          "this machine's state was restored from a backup, or lost: nothing is published until it has learned "
          + (machines.isEmpty
            ? "from the others what it had published"
            : "what it had published from \(machines) (`peers remove` those that will not come back; after a day of "
              + "running it goes on with what the others know)"))
    case .unheard(let machines):
      let named = machines.map { name($0) }.joined(separator: ", ")
      return ReasonAnswer(
        code: "unheard",
        message:
          "what is new here is published as soon as one of the others was heard since the start, so that a state from an old "
          + "backup is noticed: \(named) (`peers remove` those that will not come back)")
    case .clone(let peer):
      return ReasonAnswer(
        code: "clone",
        message:
          "another copy of this machine is running, \(name(peer)) says: nothing is published; stop one of the "
          + "two, and give it a key of its own (`mantel rekey CODE`), then start the other again",
        machine: name(peer))
    case .unproven(let peer):
      return ReasonAnswer(
        code: "unproven",
        message:
          "\(name(peer)) has not shown a photo that it says to hold, again and again: what it says counts when it does "
          + "(is a disk there unplugged?)",
        machine: name(peer))
    case .refuted(let peer):
      return ReasonAnswer(
        code: "refuted",
        message:
          "\(name(peer)) showed other bytes than those of a photo that it says to hold: nothing that it says counts until "
          + "it shows the right ones, or takes that back and shows others; "
          + "`mantel verify` there finds what is bad (its disk may be failing)",
        machine: name(peer))
    case .removed:
      return ReasonAnswer(
        code: "removed",
        message:
          "this machine was removed from the household: nothing is copied any more, its copies stay here")
    case .folderOffline(let folder, let path):
      return Self.answer(offline: path, folder: folders[folder] ?? "\(folder)")
    case .massChange(let folder, let massChange, let held):
      return Self.answer(massChange, held: held, folder: folders[folder] ?? "\(folder)")
    case .lost(let files): return Self.answer(lost: files)
    case .orphaned(let machine, let files):
      return ReasonAnswer(
        code: "orphaned",
        message:
          "\(files) photos fell out of \(name(machine))'s library without a word (was it restored from an old backup?): their "
          + "copies stay here; start \(name(machine)) where this machine reaches it, and it takes them back as deleted ones "
          + "(or `mantel verify --acknowledge`: they stay all the same)",
        machine: name(machine), files: files)
    case .heldDrops(let machine, let files, let bytes):
      return Self.answer(heldDrops: name(machine), files: files, bytes: bytes)
    case .largeShare(let machine, let bytes): return Self.answer(largeShare: name(machine), bytes: bytes)
    case .forked(let machine): return Self.answer(forked: name(machine))
    case .heldGrowth(let machine, let entries, let isFirst):
      return Self.answer(heldGrowth: name(machine), entries: entries, isFirst: isFirst)
    case .replicaOffline:
      return ReasonAnswer(
        code: "replicaOffline",
        message: "the replica is not there (not mounted?): its copies are neither checked nor counted anew")
    case .checkingReplica:
      return ReasonAnswer(
        code: "checkingReplica",
        message:
          "the copies here are being compared with the catalog, and read where they do not look the same")
    case .replicaUnreadable:
      return ReasonAnswer(
        code: "replicaUnreadable",
        message:
          "the copies here could not be compared with the catalog (the agent's log says why; the disk may be failing): what it "
          + "has lost is not known; tried again every minute")
    case .failingDisk:
      return ReasonAnswer(
        code: "failingDisk",
        message:
          "failing disk: what was written to the replica's disk could not be made durable, several times; nothing more is copied "
          + "there until it is mounted anew, or the agent is started again (its log has the errors; look at the disk first)"
      )
    case .badFiles(let files):
      return ReasonAnswer(
        code: "badFiles", message: "\(files) copies were found bad, and are fetched again", files: files)
    case .unhealable(let files): return Self.answer(unhealable: files)
    case .suspectedRot(let files, let safe):
      return ReasonAnswer(
        code: "suspectedRot",
        message:
          "\(files) of this machine's own files have other bytes though nobody wrote to them; another machine has the "
          + "right bytes of \(safe): bring them back with `mantel restore`, or save the file anew if it is right",
        files: files)
    }
  }

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

  /// Names the disk, which need not be the replica's.
  static func answer(catalogSpace machine: String, bytes: UInt64) -> ReasonAnswer {
    ReasonAnswer(
      code: "diskSpace",
      message:
        "what is new of \(machine)'s library is known, and waits until the disk with the catalog (the state directory) has enough "
        + "room free to take it in",
      machine: machine, bytes: bytes)
  }

  /// What to look at, and the way out; it ends by itself.
  static let replicaReadOnly = ReasonAnswer(
    code: "replicaReadOnly",
    message:
      "the filesystem of the replica is read-only: nothing is copied there. It was mounted so, or the kernel made it so after an "
      + "error: `mount` and `dmesg` tell which. If the disk is good, remount it for writing (`mount -o remount,rw`); copying goes "
      + "on within a minute")

  /// Where they may lie, and both ways on; their copies are not in danger.
  static func answer(notOnDisk files: Int) -> ReasonAnswer {
    ReasonAnswer(
      code: "notOnDisk",
      message:
        "\(files) of this machine's photos lie where it cannot make sure that they are on a disk of its own (NFS, SMB, FUSE, or a "
        + "filesystem that cannot be synced): the other machines copy them, but this one is not complete with them; keep them "
        + "on a disk of this machine, or back them up from the machine that has the disk",
      files: files)
  }

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

  // MARK: Notices

  static func notices(_ roster: Roster, now: Now) -> [String] {
    func isRecent(_ time: WallTime) -> Bool {
      now.wall.nanoseconds - time.nanoseconds < notices.inNanoseconds
    }
    let names = Dictionary(
      roster.members.map { ($0.machine, $0.name) } + roster.removed.map { ($0.machine, $0.name) }
    ) { first, _ in first }
    return roster.members.filter { $0.machine != $0.addedBy && isRecent($0.addedAt) }.map {
      "\($0.name) was admitted by \(names[$0.addedBy] ?? "a machine") at \(text($0.addedAt))"
    }
      + roster.admitted.map {
        "\($0.name) was admitted by \(names[$0.addedBy] ?? "a machine") at \(text($0.addedAt)) and has not joined yet"
      }
      + roster.removed.filter { isRecent($0.removedAt) }.map {
        "\($0.name) was removed by \(names[$0.removedBy] ?? "a machine") at \(text($0.removedAt))"
      }
  }

  static func notice(sharing machines: [String]) -> String {
    let last = machines.last ?? ""
    return
      "\(machines.dropLast().joined(separator: ", ")) and \(last) keep their copies on one disk of one computer: together "
      + "they are one copy, and `ls` counts them so"
  }
}
