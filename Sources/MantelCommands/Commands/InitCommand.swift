import ArgumentParser
import MantelAgent
import MantelControl

/// `mantel init`
struct InitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Found a household on this machine.",
    discussion: "The directories become folders: their photos are backed up, and never written to.")

  @Argument(help: "Directories with photos.")
  var directories: [String] = []
  @Option(help: "What this machine is called (default: its host name).")
  var name: String?
  @Option(help: "Where copies of the other machines' photos go (default: ~/Mantel).")
  var replica: String?
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let result = try Setup.initialise(
      Setup.Request(
        home: home.value, name: name, replica: replica,
        directories: directories.map { RawArguments.absolute($0) }))
    try output.print(SetupAnswer(result), SetupText.text(SetupAnswer(result)))
    for line in SetupText.next(
      isFounder: true, hasFolders: !result.folders.isEmpty,
      formerCopies: result.hasFormerCopies ? result.replica : nil)
    {
      Console.current.say(line)
    }
  }
}

extension SetupAnswer {
  init(_ result: Setup.Result) {
    self.init(
      machine: MachineAnswer(name: result.machine, id: result.machineID),
      household: MachineAnswer(name: result.household, id: result.householdID),
      replica: result.replica,
      folders: result.folders.map { Directory(name: $0.name, directory: PathText(bytes: $0.directory)) },
      members: result.members)
  }
}
