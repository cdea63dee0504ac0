import ArgumentParser
import MantelControl

/// `mantel forget`
struct ForgetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forget", abstract: "Stop keeping photos of this machine: their copies go, after a while.",
    discussion: """
      Drops what matches from this machine's library, deleted and replaced versions too. Nothing is deleted here: \
      the files stay in their folders, and are skipped from now on. Other machines put their copies into their \
      trash, and delete them after 30 days in which they run; until then --undo brings everything back.

      A machine that sees unusually many photos forgotten at once keeps its copies until somebody there says \
      `mantel forget --accept MACHINE`.
      """)

  @Argument(help: "A glob over machine/folder/path, as `mantel ls` takes it; only this machine's photos.")
  var pattern: String?
  @Flag(help: "Take it back: keep the photos again.")
  var undo = false
  @Flag(help: "Only tell what would be forgotten, or taken back.")
  var dryRun = false
  @Option(
    help: ArgumentHelp(
      "Let go of the copies that wait because MACHINE forgot so many.", valueName: "machine"))
  var accept: String?
  @Flag(help: "List what other machines ask this one to forget too.")
  var requests = false
  @Option(help: ArgumentHelp("Forget what MACHINE asks for.", valueName: "machine"))
  var grant: String?
  @Option(help: ArgumentHelp("Keep what MACHINE asks to forget.", valueName: "machine"))
  var decline: String?
  @OptionGroup var consent: ConsentOptions
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    let wishes = [pattern != nil, accept != nil, requests, grant != nil, decline != nil].count { $0 }
    guard wishes == 1 else {
      throw ValidationError(
        "name a PATTERN to forget, or one of --accept, --requests, --grant and --decline")
    }
    if pattern == nil, undo || dryRun {
      throw ValidationError("--undo and --dry-run go with a PATTERN")
    }
  }

  func run() async throws {
    if let accept { return try await runAccept(accept) }
    if requests {
      let answer = try await home.asking { try await $0.forgetRequests() }
      return try output.print(answer, ForgetText.requests(answer))
    }
    if let machine = grant ?? decline { return try await runDecision(machine, isGranted: grant != nil) }
    guard let pattern else { return }
    if dryRun || !undo {
      let preview = try await home.asking {
        try await $0.forget(ForgetQuery(pattern: pattern, undo: undo, dryRun: true))
      }
      if dryRun { return try output.print(preview, ForgetText.summary(preview)) }
      Console.current.say(ForgetText.warning(preview))
      guard try Console.current.confirm(ForgetText.question(preview), yes: consent.yes) else {
        throw CommandFailure(.notComplete, "nothing was forgotten")
      }
    }
    let answer = try await home.asking {
      try await $0.forget(ForgetQuery(pattern: pattern, undo: undo, dryRun: false))
    }
    try output.print(answer, ForgetText.summary(answer))
  }

  private func runDecision(_ machine: String, isGranted: Bool) async throws {
    if isGranted {
      let asked = try await home.asking { try await $0.forgetRequests() }.first { $0.machine == machine }
      if let asked {
        let question =
          "forget \(Quantity.files(asked.photos.files)) (\(Quantity.bytes(asked.photos.bytes))) of this machine?"
        guard try Console.current.confirm(question, yes: consent.yes) else {
          throw CommandFailure(.notComplete, "nothing was forgotten")
        }
      }
    }
    let answer = try await home.asking {
      try await $0.decide(ForgetDecision(machine: machine, grant: isGranted))
    }
    try output.print(
      answer,
      isGranted
        ? "forgot \(Quantity.files(answer.accepted)), as \(Printable.text(answer.name)) asked\n"
        : "kept; \(Printable.text(answer.name)) is not asked about again\n")
  }

  private func runAccept(_ machine: String) async throws {
    let status = try await home.asking { try await $0.status(wait: nil) }
    if let held = status.reasons.first(where: { $0.code == "heldDrops" && $0.machine == machine }) {
      let question =
        "move \(Quantity.files(held.files ?? 0)) (\(Quantity.bytes(held.bytes ?? 0))) that \(Printable.text(machine)) "
        + "forgot to the trash, where they stay for 30 days?"
      guard try Console.current.confirm(question, yes: consent.yes) else {
        throw CommandFailure(.notComplete, "nothing was accepted")
      }
    }
    let answer = try await home.asking { try await $0.acceptDrops(machine: machine) }
    try output.print(
      answer, "\(Quantity.files(answer.accepted)) of \(Printable.text(answer.name)) go to the trash\n")
  }
}
