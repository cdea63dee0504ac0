import MantelCore
import Testing

@testable import MantelReplication

/// Copies count by the filesystems that they lie on.
@Suite struct FilesystemTests {
  private let a = content("a")

  private func says(_ machine: SingleMachine, _ peer: Int, on filesystem: FolderID) throws -> Signed<
    Attestation
  > {
    let order = HeadOrder(epoch: 1, sequence: 1)
    return try machine.peers[peer].sign(
      Attestation(
        holder: machine.peers[peer].machine, number: 1, time: machine.now.wall, filesystem: filesystem,
        oldestReread: machine.now.wall,
        libraries: [machine.statement(machine.peers[0].machine, order, held: [a])]),
      in: machine.household)
  }

  @Test func replicasOnOneDiskAreOneCopy() throws {
    let machine = try SingleMachine(peers: 3)
    let links = try (0..<3).map { try machine.connect($0, has: [a]) }
    try machine.install(0, 1, [machine.entry("a.jpg", a)], over: links[0])
    let all = [machine.machine] + machine.peers.map(\.machine)
    func counted() -> Int { machine.replicator.filesystems(of: all) }
    #expect(counted() == 4, "who never said where is not counted with others")
    #expect(machine.replicator.sharedFilesystems.isEmpty)

    let (one, other) = (FolderID(high: 7, low: 7), FolderID(high: 8, low: 8))
    for (peer, filesystem) in [one, other, one].enumerated() {
      try machine.send(.attestationReceived(links[peer], try says(machine, peer, on: filesystem)))
    }
    #expect(counted() == 3)
    let sharing = machine.replicator.sharedFilesystems
    #expect(sharing == [[machine.peers[0].machine, machine.peers[2].machine].sorted()])
    #expect(machine.replicator.householdFilesystems == 3)
    let holders = try machine.replicator.holders(of: a, in: machine.peers[0].machine)
    #expect(holders.count == 3 && machine.replicator.filesystems(of: holders) == 2)
  }

  /// A release tells of what is then on one disk, whoever's the replicas on it are.
  @Test func aReleaseCountsDisks() throws {
    let (one, other) = (FolderID(high: 7, low: 7), FolderID(high: 8, low: 8))
    for (second, single) in [(one, 1), (other, 0)] {
      let machine = try SingleMachine(peers: 2)
      try machine.send(.recovered)
      let links = try (0..<2).map { try machine.connect($0, has: [a]) }
      try machine.install(0, 1, [machine.entry("a.jpg", a)], over: links[0])
      try machine.send(.unitVerified(links[0], UnitID(content: a, part: .whole)))
      try machine.fileAll()
      for (peer, filesystem) in [one, second].enumerated() {
        try machine.send(.attestationReceived(links[peer], try says(machine, peer, on: filesystem)))
      }
      var preview = ReleasePreview()
      let page = try machine.catalog.replicaContents(after: nil, limit: 10)
      let keepers = try machine.replicator.knownKeepers()
      keepers.count(page, into: &preview)
      #expect(preview.contents == 1 && preview.attested == 1 && preview.single == single)
      #expect(keepers.contentsOnlyHere() == 0)
    }
  }
}
