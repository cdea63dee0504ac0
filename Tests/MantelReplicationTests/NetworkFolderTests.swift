import MantelCore
import Testing

@testable import MantelReplication

/// Files of a folder on a network filesystem: they can be served, and are not held.
@Suite struct NetworkFolderTests {
  private let a = content("a")
  private let network = FolderID(high: 0, low: 2)

  /// Another folder, with one file.
  private func addNetworkFolder(_ machine: SingleMachine, with content: ContentID) throws {
    let path = bytes("far.jpg")
    let stamp = machine.stamp(10, inode: 8)
    try machine.send(
      .folderAdded(
        Folder(id: network, name: "Far", root: bytes("/far"), excludes: [], filesystem: machine.filesystem)))
    try machine.catalog.setFolder(network, isLocal: false)
    try machine.send(.scanBegan(network))
    try machine.send(
      .directoryScanned(
        network,
        DirectorySight(
          directory: [], files: [(path: path, stamp: stamp)], skipped: [], filesystem: machine.filesystem)))
    try machine.send(.scanEnded(network, isComplete: true))
    try machine.send(
      .hashed(
        network,
        [
          FileHash(
            path,
            .hashed(content: content, manifest: nil, before: stamp, after: stamp, isHeld: false))
        ]))
    try machine.pass(.seconds(3))
    #expect(try machine.catalog.file(network, path)?.status == .published)
  }

  /// Fails where any other published file keeps a content held (`unhold`).
  @Test func theFirstChangeOfTheOnlyLocalFileEndsWhatIsHeld() throws {
    let machine = try SingleMachine()
    try machine.publish("mine.jpg", a, machine.stamp(10))
    try addNetworkFolder(machine, with: a)
    #expect(machine.isHeld(a))
    try machine.sight("mine.jpg", .file(machine.stamp(11, ctime: 5), isClosed: false))
    #expect(!machine.isHeld(a) && machine.isAvailable(a))
  }
}
