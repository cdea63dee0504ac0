import ArgumentParser
import MantelControl

/// `mantel invite`
struct InviteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "invite", abstract: "Make a one-time code for one new machine.")

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("How long the code is good: 90s, 10m, 2h.", valueName: "time"))
  var lifetime = TimeOption(seconds: ControlLimits.inviteSeconds)
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let answer = try await home.asking { try await $0.invite(seconds: lifetime.seconds) }
    try output.print(answer, answer.code + "\n")
    guard !output.json else { return }
    let console = Console.current
    console.say(
      "good for one machine, for \(Quantity.duration(Double(lifetime.seconds))); on the new machine:")
    console.say("  mantel join \(answer.code) DIR...")
    if !answer.addresses.isEmpty {
      let addresses = answer.addresses.map(Printable.text).joined(separator: " or ")
      console.say("where discovery does not reach, with: --peer \(addresses)")
    }
  }
}

/// `90`, `90s`, `10m`, `2h`, `1d`
struct TimeOption: ExpressibleByArgument, Hashable, CustomStringConvertible {
  var seconds: Int

  init(seconds: Int) { self.seconds = seconds }

  init?(argument: String) {
    let factors: [Character: Int] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
    let factor = argument.last.flatMap { factors[$0] }
    let digits = factor == nil ? argument[...] : argument.dropLast()
    guard let number = Int(digits), number > 0 else { return nil }
    let (seconds, isOver) = number.multipliedReportingOverflow(by: factor ?? 1)
    guard !isOver else { return nil }
    self.seconds = seconds
  }

  var description: String { seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s" }
}
