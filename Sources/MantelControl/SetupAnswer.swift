/// `mantel init --json` and `mantel join --json`.
package struct SetupAnswer: Codable, Hashable, Sendable {
  package struct Directory: Codable, Hashable, Sendable {
    package var name: String
    package var directory: PathText

    package init(name: String, directory: PathText) {
      self.name = name
      self.directory = directory
    }
  }
  package var machine: MachineAnswer
  package var household: MachineAnswer
  /// Where the copies of the other machines' photos will lie.
  package var replica: String
  package var folders: [Directory]
  /// Names of all machines of the household, this one included.
  package var members: [String]

  package init(
    machine: MachineAnswer, household: MachineAnswer, replica: String, folders: [Directory],
    members: [String]
  ) {
    self.machine = machine
    self.household = household
    self.replica = replica
    self.folders = folders
    self.members = members
  }
}
