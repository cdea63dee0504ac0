import MantelCore
import Testing

@testable import MantelReplication

/// What peers drop, and what the replica makes of it.
extension SingleMachine {
  static func photos(_ count: Int) -> [ContentID] { (0..<count).map { content("photo \($0)") } }

  /// A machine that holds these photos of its first peer, in its order 1.
  static func holding(
    _ photos: [ContentID], peers: Int = 1, settings: ReplicationSettings = ReplicationSettings()
  ) throws -> (SingleMachine, LinkID) {
    let machine = try SingleMachine(peers: peers, settings: settings)
    try machine.send(.recovered)
    let link = try machine.connect(has: photos)
    try machine.install(0, 1, machine.entries(photos), over: link)
    for photo in photos { try machine.send(.unitVerified(link, UnitID(content: photo, part: .whole))) }
    try machine.fileAll()
    _ = machine.take()
    return (machine, link)
  }

  func entries(_ photos: [ContentID]) -> [Entry] { photos.map { entry("\($0.hex.prefix(8)).jpg", $0) } }

  func dropped(_ photo: ContentID) -> Entry {
    var entry = entry("-", photo, state: .dropped(at: WallTime(nanoseconds: 5)))
    entry.path = []
    return entry
  }

  /// The first peer drops some of its photos and keeps the others, and what follows is filed.
  func drop(_ photos: [ContentID], of all: [ContentID], _ sequence: UInt64, over link: LinkID) throws {
    let kept = all.filter { !photos.contains($0) }
    try install(
      0, sequence, entries(kept) + photos.map { dropped($0) }, removed: entries(photos),
      added: photos.map { dropped($0) }, over: link)
    try fileAll()
    _ = take()
  }

  /// The only file of a content.
  func file(of content: ContentID) throws -> ReplicaFile? {
    let files = try catalog.replicaFiles(of: content)
    #expect(files.count <= 1)
    return files.first
  }

  func isInTrash(_ content: ContentID) throws -> Bool {
    guard let file = try file(of: content) else { return false }
    return FilingPlan.isDiscarded(file.path) && file.mark?.isInTrash == true
  }
}
