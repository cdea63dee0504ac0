import ArgumentParser
import MantelAgent
import MantelControl

/// `mantel service`
struct ServiceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service", abstract: "Run the agent as a systemd user service.",
    subcommands: [Install.self, Remove.self, Status.self])

  struct Install: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write the unit, enable and start it.")
    @OptionGroup var home: HomeOptions

    func run() async throws {
      try home.value.requireInitialised()
      let console = Console.current
      let service = try UserService(environment: console.environment)
      let unit = try ServiceUnit(home: home.home, environment: console.environment)
      try service.write(unit.text)
      console.say("wrote \(Printable.text(service.path))")
      guard let systemctl = service.systemctl else {
        throw CommandFailure(
          .notComplete,
          "there is no systemctl here: start `mantel run` by what starts programs on this system")
      }
      guard systemctl.run(["daemon-reload"]), systemctl.run(["enable", "--now", UserService.unit]) else {
        throw CommandFailure(
          .notComplete,
          "systemd did not take it (is this a login session of yours?): later, "
            + "`systemctl --user daemon-reload && systemctl --user enable --now mantel`")
      }
      console.say("the agent runs now, and whenever you are logged in")
      console.say("to have it run without a login too: loginctl enable-linger")
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Stop the agent and remove the unit; photos and copies stay.")
    @OptionGroup var home: HomeOptions

    func run() async throws {
      let console = Console.current
      let service = try UserService(environment: console.environment)
      guard service.isInstalled else {
        console.say("no service is installed (\(Printable.text(service.path)))")
        return
      }
      let isStopped = service.systemctl?.run(["disable", "--now", UserService.unit]) ?? false
      try service.remove()
      _ = service.systemctl?.run(["daemon-reload"])
      console.say("removed \(Printable.text(service.path))")
      if !isStopped {
        console.say("systemd did not stop it: is an agent running still? `mantel status` tells")
      }
    }
  }

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say whether the unit is installed, enabled and running (exit 3 if it is not running).")
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    struct Answer: Codable {
      var installed: Bool
      var enabled: Bool
      var active: Bool
      var unit: String
    }

    func run() async throws {
      let service = try UserService(environment: Console.current.environment)
      let answer = Answer(
        installed: service.isInstalled,
        enabled: service.systemctl?.run(["--quiet", "is-enabled", UserService.unit]) ?? false,
        active: service.systemctl?.run(["--quiet", "is-active", UserService.unit]) ?? false,
        unit: service.path)
      let word = answer.active ? "running" : answer.installed ? "not running" : "not installed"
      try output.print(
        answer,
        "\(word)\n  \(Printable.text(answer.unit))\(answer.enabled ? ", starts by itself" : "")\n")
      guard answer.active else { throw ExitCode(CommandStatus.agentNotRunning.rawValue) }
    }
  }
}
