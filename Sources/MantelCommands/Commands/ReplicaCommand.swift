import ArgumentParser
import MantelAgent
import MantelControl

/// `mantel replica`
struct ReplicaCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replica", abstract: "Where the copies of the other machines' photos lie.",
    subcommands: [Adopt.self, Move.self])

  struct Adopt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take over the copies that lie in a directory.",
      discussion: """
        For a replica that was moved to another disk, and for a catalog that was lost or damaged: it is rebuilt \
        from what lies beside the copies, and the rest is learned from the other machines. Every file is \
        hashed, none is changed, and no photo is sent again. The agent must not be running.
        """)
    @Argument(help: "The directory that was, or becomes, this machine's replica.")
    var directory: String
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let summary = try ReplicaAdoption(home: home.value, directory: directory).run { files, bytes in
        Progress.show("\(Quantity.files(files)), \(Quantity.bytes(bytes)) hashed")
        return true
      }
      Progress.clear()
      let answer = AdoptAnswer(summary)
      try output.print(answer, ReplicaText.adopted(answer))
    }
  }

  struct Move: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give the replica another place on its disk.",
      discussion: """
        To another disk: stop the agent, copy the directory (`cp -a OLD NEW`), and `mantel replica adopt NEW`. \
        The agent must not be running.
        """)
    @Argument(help: "Where the directory is to be; nothing may be there.")
    var directory: String
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let moved = try ReplicaMove(home: home.value).run(to: directory)
      let answer = MoveAnswer(from: moved.from, replica: moved.to)
      try output.print(answer, ReplicaText.moved(answer))
    }
  }
}

/// `mantel replica adopt --json`.
struct AdoptAnswer: Codable, Hashable, Sendable {
  struct Unreadable: Codable, Hashable, Sendable {
    var path: PathText
    var message: String
  }
  var replica: String
  var household: String
  var files: Int
  var bytes: UInt64
  /// The catalog was lost or damaged, and a new one was made.
  var rebuilt: Bool
  /// Where the damaged catalog is now.
  var setAside: String?
  var unreadable: [Unreadable]
  var folders: [SetupAnswer.Directory]

  init(_ summary: ReplicaAdoption.Summary) {
    replica = summary.root
    household = summary.household
    files = summary.files
    bytes = summary.bytes
    rebuilt = summary.isRebuilt
    setAside = summary.setAside
    unreadable = summary.unreadable.map { Unreadable(path: PathText(bytes: $0.path), message: $0.why) }
    folders = summary.folders.map {
      SetupAnswer.Directory(name: $0.name, directory: PathText(bytes: $0.directory))
    }
  }
}

/// `mantel replica move --json`.
struct MoveAnswer: Codable, Hashable, Sendable {
  var from: String
  var replica: String
}
