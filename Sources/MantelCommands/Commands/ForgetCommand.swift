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
      `mantel forget --accept MACHINE`, or keeps them with `--refuse MACHINE`. So it is with whatever a machine \
      forgot that was removed from the household.
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
  @Option(
    help: ArgumentHelp("Keep the copies that wait, whatever MACHINE forgot.", valueName: "machine"))
  var refuse: String?
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
    let wishes = [pattern != nil, accept != nil, refuse != nil, requests, grant != nil, decline != nil].count
    { $0 }
    guard wishes == 1 else {
      throw ValidationError(
        "name a PATTERN to forget, or one of --accept, --refuse, --requests, --grant and --decline")
    }
    if pattern == nil, undo || dryRun {
      throw ValidationError("--undo and --dry-run go with a PATTERN")
    }
  }

  func run() async throws {
    if let machine = accept ?? refuse { return try await runDrops(machine, isAccepted: accept != nil) }
    if requests {
      let answer = try await home.asking { try await $0.forgetRequests() }
      return try output.print(answer, ForgetText.requests(answer))
    }
    if let machine = grant ?? decline { return try await runDecision(machine, isGranted: grant != nil) }
    guard let pattern else { return }
    var consented: String?
    if dryRun || !undo {
      let preview = try await home.asking {
        try await $0.forget(ForgetQuery(pattern: pattern, undo: undo, dryRun: true))
      }
      if dryRun { return try output.print(preview, ForgetText.summary(preview)) }
      Console.current.say(ForgetText.warning(preview))
      guard try Console.current.confirm(ForgetText.question(preview), yes: consent.yes) else {
        throw CommandFailure(.notComplete, "nothing was forgotten")
      }
      consented = preview.consent
    }
    let query = ForgetQuery(pattern: pattern, undo: undo, dryRun: false, consent: consented)
    let answer = try await home.asking { try await $0.forget(query) }
    try output.print(answer, ForgetText.summary(answer))
    if answer.unfound.files > 0 {
      throw CommandFailure(.notComplete, "\(Quantity.files(answer.unfound.files)) did not come back")
    }
  }

  private func runDecision(_ machine: String, isGranted: Bool) async throws {
    let asked = try await home.asking { try await $0.forgetRequests() }
    guard let asked = asked.first(where: { Self.isCalled(machine, name: $0.machine, id: $0.id) }) else {
      throw CommandFailure(.notComplete, "\(Printable.text(machine)) asks this machine to forget nothing")
    }
    if isGranted {
      let question =
        "forget \(Quantity.files(asked.photos.files)) (\(Quantity.bytes(asked.photos.bytes))) of this machine?"
      guard try Console.current.confirm(question, yes: consent.yes) else {
        throw CommandFailure(.notComplete, "nothing was forgotten")
      }
    }
    let answer = try await home.asking {
      try await $0.decide(
        ForgetDecision(machine: asked.id, grant: isGranted, consent: isGranted ? asked.consent : nil))
    }
    try output.print(
      answer,
      isGranted
        ? "forgot \(Quantity.files(answer.accepted)), as \(Printable.text(answer.name)) asked\n"
        : "kept; \(Printable.text(answer.name)) is not asked about again\n")
  }

  private func runDrops(_ machine: String, isAccepted: Bool) async throws {
    let waiting = try await home.asking { try await $0.drops() }
    guard let drops = waiting.first(where: { Self.isCalled(machine, name: $0.machine, id: $0.id) }) else {
      throw CommandFailure(.notComplete, "no copy waits here because \(Printable.text(machine)) forgot it")
    }
    if isAccepted {
      let question =
        "let go of \(Quantity.files(drops.copies.files)) (\(Quantity.bytes(drops.copies.bytes))) that "
        + "\(Printable.text(drops.machine)) forgot, after 30 days in the trash?"
      guard try Console.current.confirm(question, yes: consent.yes) else {
        throw CommandFailure(.notComplete, "nothing was accepted")
      }
    }
    let answer = try await home.asking {
      try await $0.decide(
        DropDecision(machine: drops.id, accept: isAccepted, consent: isAccepted ? drops.consent : nil))
    }
    try output.print(
      answer,
      "\(Quantity.files(answer.accepted)) of \(Printable.text(answer.name)) "
        + (isAccepted ? "go to the trash\n" : "are kept for good\n"))
  }

  /// By its name, or by its id or the beginning of that.
  private static func isCalled(_ asked: String, name: String, id: String) -> Bool {
    asked == name || asked.count >= 8 && id.hasPrefix(asked.lowercased())
  }
}
