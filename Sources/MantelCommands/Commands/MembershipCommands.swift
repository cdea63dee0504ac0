import ArgumentParser
import MantelControl
import UnixSignals

/// `mantel role`
struct RoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "role", abstract: "Keep copies for the others (full), or only give own photos (source).",
    discussion: """
      A full machine keeps a copy of every other machine's photos; a source gives its own and takes none. \
      Changing the role deletes nothing: the copies of a machine that becomes a source stay until \
      `mantel release`, and are not counted as copies any more.
      """)

  @Argument(help: "full or source.")
  var role: JoinCommand.RoleOption
  @OptionGroup var consent: ConsentOptions
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let role = role.rawValue
    let preview = try await home.asking { try await $0.changeRole(RoleQuery(role: role, dryRun: true)) }
    guard preview.former != role else {
      return try output.print(preview, "this machine is \(role) already\n")
    }
    Console.current.say(MembershipText.explanation(preview))
    guard try Console.current.confirm("make this machine \(role)?", yes: consent.yes) else {
      throw CommandFailure(.notComplete, "nothing was changed")
    }
    let answer = try await home.asking { try await $0.changeRole(RoleQuery(role: role, dryRun: false)) }
    try output.print(answer, MembershipText.summary(answer))
  }
}

/// `mantel leave`
struct LeaveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leave", abstract: "Leave the household, for ever.",
    discussion: """
      The others are told, and keep their copies of this machine's photos; nothing more is copied in either \
      direction, and nothing is deleted here. This installation's key is not let in again. To make room \
      first, say `mantel role source` and `mantel release` before leaving: afterwards nobody shows any more that \
      the photos are safe.
      """)

  @OptionGroup var consent: ConsentOptions
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let preview = try await home.asking { try await $0.leave(LeaveQuery(dryRun: true)) }
    Console.current.say(MembershipText.explanation(preview))
    let household = Printable.text(preview.household)
    guard try Console.current.confirm("leave \(household), for ever?", yes: consent.yes) else {
      throw CommandFailure(.notComplete, "this machine is a member still")
    }
    let answer = try await home.asking { try await $0.leave(LeaveQuery(dryRun: false)) }
    try output.print(answer, MembershipText.summary(answer))
  }
}

/// `mantel release`
struct ReleaseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release", abstract: "Delete copies that this machine does not owe any more.",
    discussion: """
      For a machine whose role is source (`mantel role source`): frees the copies of other machines' photos, and \
      nothing else. A copy goes only when every machine that keeps copies has said within 7 days that it holds the \
      photo, and shows a random part of it when it is asked now; so all of them have to be connected. What one of \
      them cannot show stays. This machine's own folders are never touched. Interrupt to stop.
      Exit codes: 0 all copies are gone, 1 some stay.
      """)

  /// How often progress is asked for; also tells the agent that somebody waits.
  static let interval: Duration = .milliseconds(250)

  @OptionGroup var consent: ConsentOptions
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let preview = try await home.asking { try await $0.releasePreview() }
    if let refusal = preview.refusal { throw CommandFailure(.notComplete, Printable.text(refusal)) }
    Console.current.say(MembershipText.explanation(preview))
    guard try Console.current.confirm("delete these copies here?", yes: consent.yes) else {
      throw CommandFailure(.notComplete, "nothing was deleted")
    }
    let answer = try await home.asking { service in
      let begun = try await service.startRelease()
      return try await withThrowingTaskGroup(of: ReleaseAnswer?.self) { group in
        group.addTask { try await Self.follow(begun, service) }
        group.addTask { try await Self.stopOnInterrupt(service) }
        defer { group.cancelAll() }
        while let ended = try await group.next() {
          if let ended { return ended }
        }
        return begun
      }
    }
    Progress.clear()
    try output.print(answer, MembershipText.summary(answer))
    guard answer.state == "done", answer.kept.isEmpty else {
      throw ExitCode(CommandStatus.notComplete.rawValue)
    }
  }

  private static func follow(_ begun: ReleaseAnswer, _ service: any ControlService) async throws
    -> ReleaseAnswer
  {
    var answer = begun
    while answer.isRunning {
      Progress.show(MembershipText.progress(answer))
      try await Task.sleep(for: interval)
      answer = try await service.releaseProgress()
    }
    return answer
  }

  /// The agent would find out by itself, a minute later.
  private static func stopOnInterrupt(_ service: any ControlService) async throws -> ReleaseAnswer? {
    for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
      return try await service.stopRelease()
    }
    return nil
  }
}
