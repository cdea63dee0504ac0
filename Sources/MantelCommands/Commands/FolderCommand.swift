import ArgumentParser
import MantelControl

/// `mantel folder`
struct FolderCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "folder", abstract: "The directories of this machine whose photos are backed up.",
    subcommands: [Add.self, List.self, Remove.self, Accept.self])

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Back up a directory from now on.")
    @Argument(help: "The directory; nothing is ever written into it.")
    var directory: String
    @Option(help: "What the folder is called (default: the directory's name).")
    var name: String?
    @Option(
      help: ArgumentHelp("Leave out what matches, below the directory; may be repeated.", valueName: "glob"))
    var exclude: [String] = []
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let request = FolderRequest(
        directoryBase64: RawArguments.absoluteBase64(directory), name: name, excludes: exclude)
      let answer = try await home.changing { try await $0.addFolder(request) }
      // The name is told because it may be another than the directory's.
      try output.print(
        answer, "added \(Printable.text(answer.name))  (\(Printable.path(answer.directory)))\n")
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the folders of this machine.")
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let answer = try await home.changing { try await $0.folders() }
      try output.print(answer, FilesText.folders(answer))
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Stop backing up a folder; its photos and their copies stay where they are.")
    @Argument(help: "The folder's name, as `mantel folder list` prints it.")
    var name: String
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let answer = try await home.changing { try await $0.removeFolder(name: name) }
      try output.print(
        answer, "removed \(Printable.text(answer.name)); its photos and their copies stay where they are\n")
    }
  }

  struct Accept: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Let a mass change pass: what was deleted or replaced is so in the library too.",
      discussion: """
        When much of a folder goes or changes within a day, its deletions and replacements wait, because \
        it may be a mistake or an attack. Nothing is lost either way: the other machines keep what was \
        deleted or replaced among their retired files.
        """)
    @Argument(help: "The folder's name, as `mantel folder list` prints it.")
    var name: String
    @OptionGroup var consent: ConsentOptions
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let folders = try await home.changing { try await $0.folders() }
      guard let folder = folders.first(where: { $0.name == name }) else { throw ControlError.noFolder(name) }
      if folder.held > 0 {
        let question =
          "retire \(Quantity.files(folder.held)) of \(Printable.text(name)) that were deleted or replaced?"
        guard try Console.current.confirm(question, yes: consent.yes) else {
          throw CommandFailure(.notComplete, "nothing was accepted")
        }
      }
      let answer = try await home.changing { try await $0.acceptFolder(name: name) }
      try output.print(
        answer, "accepted \(Quantity.files(answer.accepted)) of \(Printable.text(answer.name))\n")
    }
  }
}
