import ArgumentParser
import MantelAgent

/// `mantel version`
struct VersionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Print the version of this program.")

  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try output.print(["version": MantelVersion.text], MantelVersion.program + "\n")
  }
}
