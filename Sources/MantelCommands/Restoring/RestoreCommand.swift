import ArgumentParser
import Foundation
import MantelAgent
import MantelControl

/// `mantel restore`
struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Bring photos back: from the copies here, else from other machines.",
    discussion: """
      Without PATTERN and --machine: the photos of this machine. They come to DIR/<folder>/<path>, with \
      <machine>/ in front when PATTERN may match several machines; every byte is checked, and names and times \
      are what they were.

      Restored is what is there, and what was deleted from a place where nothing is any more. What was replaced \
      (a photo that was edited, or encrypted by an intruder) comes with --as-of, in the form that it had then, \
      or with --retired, in all its forms.

      Nothing that lies in DIR is replaced: an equal file is counted as there, beside another one the restored \
      file gets a name of its own. Interrupted, it is run again and does the rest. Exit code 0: all is there; 1: \
      not all.
      """)

  @Argument(help: "A glob over machine/folder/path, as `mantel ls` takes it.")
  var pattern: String?
  @Option(help: "Photos of this machine, by name or id.")
  var machine: String?
  @Option(name: .customLong("to"), help: ArgumentHelp("The directory to restore to.", valueName: "dir"))
  var directory: String
  @Flag(help: "Every version that is kept: replaced and deleted ones too.")
  var retired = false
  @Option(
    help: ArgumentHelp(
      "As it was then: 2026-05-01T12:00:00Z, or 90m, 3h, 2d ago.", valueName: "time"))
  var asOf: MomentOption?
  @Flag(help: "Only tell what would be restored, and from where.")
  var dryRun = false
  @OptionGroup var consent: ConsentOptions
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if retired, asOf != nil { throw ValidationError("--retired and --as-of exclude each other") }
  }

  func run() async throws {
    let request = RestoreRequest(
      pattern: pattern, machine: machine, directoryBase64: RawArguments.absoluteBase64(directory),
      retired: retired, asOf: asOf?.text, dryRun: dryRun, mayWriteIntoFolder: false)
    let answer = try await home.asking { service in
      try await JobFollower(
        service: service, json: output.json, yes: consent.yes, text: JobText.restored, verb: "restoring"
      ).follow(JobRequest(restore: request)) { asked in
        var agreed = asked
        agreed.restore?.mayWriteIntoFolder = true
        return agreed
      }
    }
    try output.print(line: answer, JobText.restoreSummary(answer, isDryRun: dryRun))
    let isAll = answer.files("failed") == 0 && answer.total.map { $0.files > 0 } ?? false
    if !isAll { throw ExitCode(CommandStatus.notComplete.rawValue) }
  }
}

/// A moment: ISO 8601, or how long ago.
struct MomentOption: ExpressibleByArgument, Hashable {
  /// ISO 8601 in UTC.
  var text: String

  init?(argument: String) {
    if let ago = TimeOption(argument: argument) {
      let now = Double(AgentClock.wall.seconds)
      text = Date(timeIntervalSince1970: now - Double(ago.seconds)).formatted(.iso8601)
    } else if let date = try? Date(argument, strategy: .iso8601) {
      text = date.formatted(.iso8601)
    } else {
      return nil
    }
  }
}
