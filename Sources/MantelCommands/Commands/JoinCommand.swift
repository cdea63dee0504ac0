import ArgumentParser
import Logging
import MantelAgent
import MantelControl

/// `mantel join`
struct JoinCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "join", abstract: "Join a household with a code from `mantel invite`.",
    discussion: "The directories become folders: their photos are backed up, and never written to.")

  enum RoleOption: String, ExpressibleByArgument, CaseIterable {
    case full
    case source
  }

  /// How long the inviting machine is looked for.
  private static let searching: Duration = .seconds(30)

  @Argument(help: "The code that `mantel invite` printed on a member.")
  var code: String
  @Argument(help: "Directories with photos.")
  var directories: [String] = []
  @Option(help: "What this machine is called (default: its host name).")
  var name: String?
  @Option(help: "Where copies of the other machines' photos go (default: ~/Mantel).")
  var replica: String?
  @Option(help: "full: keeps copies of everything; source: only gives its own photos.")
  var role = RoleOption.full
  @Option(
    help: ArgumentHelp("The inviting machine, where discovery does not reach.", valueName: "host:port"))
  var peer: String?
  @Option(help: "The machine whose photos this one takes over, for a reinstalled or replaced one.")
  var replaces: String?
  @OptionGroup var consent: ConsentOptions
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let console = Console.current
    try console.requireConsent(yes: consent.yes)
    let yes = consent.yes
    let result = try await Setup.join(
      Setup.Request(
        home: home.value, name: name, replica: replica,
        directories: directories.map { RawArguments.absolute($0) },
        role: role.rawValue),
      code: code, peer: try peer.map { try NetworkAddressText($0) }, replaces: replaces,
      timeout: Self.searching, logger: .silent,
      progress: { console.say($0) },
      confirm: { household, members in
        Self.confirm(console, household: household, members: members, yes: yes)
      })
    try output.print(SetupAnswer(result), SetupText.text(SetupAnswer(result)))
    for line in SetupText.next(
      isFounder: false, hasFolders: !result.folders.isEmpty,
      formerCopies: result.hasFormerCopies ? result.replica : nil)
    {
      console.say(line)
    }
  }

  private static func confirm(
    _ console: Console, household: String, members: [String], yes: Bool
  ) -> Bool {
    let names = members.map(Printable.text).joined(separator: ", ")
    console.say("\(Printable.text(household)), machines: \(names)")
    // Asked for at the start: whoever could not be asked is not here.
    return (try? console.confirm("join this household?", yes: yes)) ?? false
  }
}

extension Logger {
  /// For commands that say everything themselves.
  static var silent: Logger { Logger(label: "mantel") { _ in SwiftLogNoOpLogHandler() } }
}
