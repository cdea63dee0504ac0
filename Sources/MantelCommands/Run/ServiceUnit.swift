import Foundation
import MantelAgent

/// The text of the systemd user unit.
struct ServiceUnit: Sendable {
  var executable: String
  /// `--home`, absolute; nil: the XDG directories.
  var home: String?
  /// XDG directories that this user has moved and that the user manager may not know.
  var environment: [(name: String, value: String)]

  private static let moved = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"]

  init(executable: String, home: String?, environment: [(name: String, value: String)] = []) {
    self.executable = executable
    self.home = home
    self.environment = environment
  }

  /// For this very program.
  init(home: String?, environment: [String: String]) throws {
    let executable = try ServiceUnit.ownExecutable()
    let chosen = home ?? environment["MANTEL_HOME"].flatMap { $0.isEmpty ? nil : $0 }
    self.init(
      executable: executable, home: chosen.map(Home.absolute),
      environment: chosen == nil
        ? Self.moved.compactMap { name in environment[name].map { (name, $0) } } : [])
  }

  /// The absolute path of the running program.
  static func ownExecutable() throws -> String {
    try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }

  var text: String {
    let command = ["run"] + (home.map { ["--home", $0] } ?? [])
    let start = ([executable] + command).map(Self.quoted).joined(separator: " ")
    let variables = environment.map { "Environment=\(Self.quoted("\($0.name)=\($0.value)"))\n" }.joined()
    return """
      [Unit]
      Description=Mantel, a household's photo backup

      [Service]
      Type=notify
      ExecStart=\(start)
      \(variables)Restart=on-failure
      RestartSec=5
      # Wrong arguments or no household: starting again does not help.
      RestartPreventExitStatus=64
      Nice=10
      IOSchedulingClass=idle

      [Install]
      WantedBy=default.target

      """
  }

  /// A word of a command line as systemd reads it: quotes, backslashes, specifiers and variables are literal.
  static func quoted(_ word: String) -> String {
    var result = ""
    for character in word {
      switch character {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      case "%": result += "%%"
      case "$": result += "$$"
      case "\n": result += "\\n"
      default: result.append(character)
      }
    }
    return "\"\(result)\""
  }
}
