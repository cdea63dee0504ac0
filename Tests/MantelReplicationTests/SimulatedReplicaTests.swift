import MantelCore
import Testing

@testable import MantelReplication

/// The simulated replica does what a disk does, where `FilingTests` of `MantelDisk` say what that is.
@Suite struct SimulatedReplicaTests {
  private let first = Array("m/f/a.jpg".utf8)
  private let second = Array("n/f/b.jpg".utf8)
  private let photo = Payload(Array("photo".utf8))
  private var operations: [FilingOperation] {
    [
      .land(photo.content, path: first, mtime: 7),
      .link(from: first, path: second, content: photo.content, mtime: 7),
    ]
  }

  /// A file of somebody else's has the name that a staged photo is to get.
  private func replica() -> SimulatedReplica {
    var replica = SimulatedReplica()
    replica.intrude(first, Payload(Array("intruder".utf8)))
    replica.staged[photo.content] = StagedFile(payload: photo, blocks: nil)
    return replica
  }

  @Test func aLinkFollowsItsFileToTheNameThatItGot() {
    var replica = replica()
    let results = replica.commit(operations, own: [:], fault: nil, limit: 2)
    #expect(replica.files[second]?.content == photo.content)
    #expect(replica.files[Array("m/f/a.jpg (2)".utf8)]?.content == photo.content)
    guard case .done(second, _?) = results[1] else {
      Issue.record("\(results[1])")
      return
    }
  }

  @Test func nothingIsMadeFromAFileThatDidNotCome() {
    var replica = replica()
    let results = replica.commit(operations, own: [:], fault: (.io, place: 0), limit: 2)
    #expect(replica.files[second] == nil)
    #expect(results[1] == .sourceChanged)
  }

  /// Of the same bytes the file is a link, or a copy; of others only its time tells that it is not the one that was meant.
  @Test func whatHasAnotherTimeIsHashedBeforeItIsLinked() {
    var replica = replica()
    let link = FilingOperation.link(from: first, path: second, content: photo.content, mtime: 8)
    let results = replica.commit([link], own: [:], fault: nil, limit: 1)
    #expect(results == [.sourceChanged])
    #expect(replica.files[second] == nil)
  }
}
