import ArgumentParser
import MantelAgent

/// `mantel`
struct MantelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mantel",
    abstract: "Keeps a verified copy of every machine's photos on every machine of a household.",
    discussion: """
      A backup, not a sync: deleting or changing a photo never deletes its copies, and nothing is ever \
      written into your own photo folders.

      Exit codes: 0 done or complete, 1 not complete, 2 needs attention, 3 the agent is not running, \
      64 usage, 70 internal error.
      """,
    version: MantelVersion.program,
    groupedSubcommands: [
      CommandGroup(
        name: "Setting up:", subcommands: [InitCommand.self, JoinCommand.self, InviteCommand.self]),
      CommandGroup(name: "The agent:", subcommands: [RunCommand.self, ServiceCommand.self]),
      CommandGroup(
        name: "Household:",
        subcommands: [
          FolderCommand.self, PeersCommand.self, RoleCommand.self, ReplicaCommand.self, RekeyCommand.self,
          LeaveCommand.self,
        ]),
      CommandGroup(
        name: "Looking:",
        subcommands: [
          StatusCommand.self, ListCommand.self, WhereCommand.self, SkippedCommand.self,
          SumsCommand.self, AtRiskCommand.self, CheckCommand.self, VerifyCommand.self,
        ]),
      CommandGroup(name: "Letting go:", subcommands: [ForgetCommand.self, ReleaseCommand.self]),
      CommandGroup(name: "Getting back:", subcommands: [RestoreCommand.self, DrillCommand.self]),
      CommandGroup(name: "More:", subcommands: [DemoCommand.self, VersionCommand.self]),
    ])
}
