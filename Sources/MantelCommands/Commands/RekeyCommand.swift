import ArgumentParser
import Logging
import MantelAgent
import MantelControl

/// `mantel rekey`
struct RekeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rekey", abstract: "Give this installation a key of its own.",
    discussion: """
      For a clone: a disk or a virtual machine that was copied with its key, so that two machines are one and \
      nothing is published any more. Run it on the copy, with a code from `mantel invite` on any other member; \
      the agent must not be running. Folders and copies stay, no photo is sent again. To lock out a \
      key that was stolen, remove its machine afterwards (`mantel peers remove`).
      """)

  private static let searching: Duration = .seconds(60)

  @Argument(help: "The code that `mantel invite` printed on a member.")
  var code: String
  @Option(help: "What this machine is called from now on (default: its name and \"-2\").")
  var name: String?
  @Option(
    help: ArgumentHelp("The inviting machine, where discovery does not reach.", valueName: "host:port"))
  var peer: String?
  @OptionGroup var consent: ConsentOptions
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let console = Console.current
    try console.requireConsent(yes: consent.yes)
    let yes = consent.yes
    let result = try await Rekey.run(
      home: home.value, name: name, code: code, peer: try peer.map { try NetworkAddressText($0) },
      timeout: Self.searching, logger: .silent, progress: { console.say($0) },
      confirm: { household, members in
        let names = members.map(Printable.text).joined(separator: ", ")
        console.say("\(Printable.text(household)), machines: \(names)")
        return (try? console.confirm("become a machine of its own in this household?", yes: yes)) ?? false
      })
    let answer = RekeyAnswer(
      machine: MachineAnswer(name: result.machine, id: result.machineID),
      household: result.household, formerID: result.formerID, formerKey: result.formerKey)
    try output.print(answer, ReplicaText.rekeyed(answer))
  }
}

/// `mantel rekey --json`.
struct RekeyAnswer: Codable, Hashable, Sendable {
  var machine: MachineAnswer
  var household: String
  /// The machine that this installation was.
  var formerID: String
  /// Where its key lies now.
  var formerKey: String
}
