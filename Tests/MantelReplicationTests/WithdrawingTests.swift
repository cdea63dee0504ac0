import MantelCore
import Testing

@testable import MantelReplication

/// What lies on a disk that is away is asked for in vain once, and then not again before the disk is back.
@Suite struct WithdrawingTests {
  private let a = content("a")
  private let b = content("b")
  private let disk = bytes("disk")
  private let other = bytes("other")

  /// A machine whose album `m` lies on a disk of its own: with the photo `a`, which lies beside it too, and others that do not.
  private struct Owner {
    let machine: SingleMachine
    let link: LinkID
    var files: [String: FileStamp]

    /// What the peer was told since the last time.
    func told(_ content: ContentID) -> Bool? { machine.take().told(link, of: content) }
  }

  private func owner(
    album: [ContentID] = [content("b")], settings: ReplicationSettings = ReplicationSettings()
  ) throws -> Owner {
    let machine = try SingleMachine(peers: 2, filesystem: disk, settings: settings)
    machine.places = [[]: disk, bytes("m"): other]
    var contents = ["a": a, "m/a": a]
    for (number, content) in album.enumerated() { contents["m/\(number)"] = content }
    var files: [String: FileStamp] = [:]
    for (number, path) in contents.keys.sorted().enumerated() {
      files[path] = machine.stamp(10, inode: UInt64(100 + number))
    }
    try machine.scan(files, filesystems: ["m": other], default: disk)
    for (path, content) in contents.sorted(by: { $0.key < $1.key }) {
      try machine.finishHash(path, content, try #require(files[path]))
    }
    try machine.pass(.seconds(3))
    for content in contents.values { #expect(machine.isHeld(content)) }
    let link = try machine.connect()
    _ = machine.take()
    return Owner(machine: machine, link: link, files: files)
  }

  private func unplug(_ owner: Owner, root: Bool = false) throws {
    let folder = SingleMachine.folderID
    try owner.machine.send(root ? .folderOffline(folder) : .directoryAway(folder, bytes("m")))
  }

  private func plugIn(_ owner: Owner) throws {
    try owner.machine.scan(owner.files, filesystems: ["m": other], default: disk)
  }

  private func whole(_ content: ContentID) -> UnitID { UnitID(content: content, part: .whole) }

  /// Fails where it is withdrawn at once, or not offered again when the root (`scanBegan`), or a part (`isPresent`), is back.
  @Test(arguments: [false, true]) func whatWasAskedForInVainIsWithdrawnAndOfferedAgainOnce(root: Bool) throws
  {
    let owner = try owner()
    try unplug(owner, root: root)
    #expect(owner.told(b) == nil, "nobody has asked for it")
    try owner.machine.send(.couldNotServe([b]))
    #expect(owner.told(b) == false)
    #expect(owner.machine.isAvailable(b) && owner.machine.isHeld(b))
    try owner.machine.send(.couldNotServe([b, b]))
    try owner.machine.pass(.seconds(100))
    #expect(owner.told(b) == nil)
    try plugIn(owner)
    #expect(owner.told(b) == true)
    try plugIn(owner)
    try owner.machine.pass(.seconds(100))
    #expect(owner.told(b) == nil)
  }

  /// A place that a walk does not come by any more is not away: what it had is offered again, and found to be gone. Fails where
  /// only places that are seen count (`settlePlaces`).
  @Test func whatWasAwayWithAPlaceThatIsNoneAnyMoreIsOfferedAgain() throws {
    let owner = try owner()
    let machine = owner.machine
    try machine.send(.directoryAway(SingleMachine.folderID, bytes("m/sub")))
    try machine.publish("m/sub/c", content("c"), machine.stamp(10, inode: 200))
    try machine.send(.couldNotServe([content("c")]))
    #expect(owner.told(content("c")) == false)
    try plugIn(owner)
    #expect(owner.told(content("c")) == true)
  }

  /// Fails where any file that is away is enough (`isOutOfReach`).
  @Test func whatAnotherFileHereHasIsNotWithdrawn() throws {
    let owner = try owner()
    try unplug(owner)
    let actions = try owner.machine.send(.couldNotServe([a, b]))
    #expect(actions.told(owner.link, of: a) == nil && actions.told(owner.link, of: b) == false)
  }

  @Test func whatTheReplicaHasIsNotWithdrawn() throws {
    let owner = try owner()
    let machine = owner.machine
    try machine.install(0, 1, [machine.entry("theirs.jpg", b)], over: owner.link)
    try machine.pass(.seconds(1))
    try machine.fileAll()
    #expect(try !machine.catalog.replicaFiles(of: b).isEmpty)
    try unplug(owner)
    try machine.send(.couldNotServe([b]))
    #expect(owner.told(b) == nil)
  }

  /// Fails where what the replica has counts as here though its disk is away (`isOutOfReach`), where only folders can be away
  /// (`couldNotServe`), or where a mount offers nothing again (`mounted`).
  @Test func whatTheReplicaHasIsWithdrawnWhileItsDiskIsAway() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.send(.couldNotServe([b]))
    #expect(machine.take().told(link, of: b) == nil, "nobody knows yet that it is away")
    try machine.send(.replicaAway)
    #expect(machine.take().told(link, of: b) == nil, "nobody has asked for it since")
    try machine.send(.couldNotServe([b]))
    #expect(machine.take().told(link, of: b) == false)
    #expect(machine.isHeld(b) && machine.isAvailable(b))
    try machine.send(.replicaAway)
    try machine.send(.couldNotServe([b, b]))
    try machine.pass(.seconds(100))
    #expect(machine.take().told(link, of: b) == nil)
    try machine.send(.replicaMounted)
    let actions = machine.take()
    #expect(actions.told(link, of: b) == true && actions.told(link, of: a) == nil)
    try machine.pass(.seconds(100))
    #expect(machine.take().told(link, of: b) == nil)
  }

  /// Fails where a replica that is away is reason enough, whatever own files have (`isOutOfReach`).
  @Test func whatAFolderHasIsWithdrawnOnlyWhenThatIsAwayToo() throws {
    let (machine, link) = try SingleMachine.holding([a, b])
    try machine.publish("mine.jpg", a, machine.stamp(10))
    try machine.send(.replicaAway)
    _ = machine.take()
    try machine.send(.couldNotServe([a, b]))
    var actions = machine.take()
    #expect(actions.told(link, of: a) == nil && actions.told(link, of: b) == false)
    try machine.send(.folderOffline(SingleMachine.folderID))
    try machine.send(.couldNotServe([a]))
    #expect(machine.take().told(link, of: a) == false)
    try machine.send(.replicaMounted)
    actions = machine.take()
    #expect(actions.told(link, of: a) == true && actions.told(link, of: b) == true)
  }

  /// What a restore has fetched can be served for the file that is away, from the staging area of a replica that is there. Fails
  /// where that does not count, or counts in any case (`isOutOfReach`).
  @Test func whatIsStagedIsWithdrawnOnlyWhileTheReplicaIsAway() throws {
    let owner = try owner()
    let machine = owner.machine
    try machine.send(.recovered)
    let other = try machine.connect(1, has: [b])
    try unplug(owner)
    let missing = MissingContent(
      content: b, size: 10, manifest: nil, mtime: SingleMachine.oldTime, library: machine.machine)
    try machine.send(.recall(RecallID(1), RecallOrder(missing, isAfresh: true)))
    try machine.send(.unitVerified(other, whole(b)))
    #expect(machine.take().recalled.map(\.outcome) == [.here])
    try machine.send(.couldNotServe([b]))
    #expect(owner.told(b) == nil)
    try machine.send(.replicaAway)
    try machine.send(.couldNotServe([b]))
    #expect(owner.told(b) == false)
    try machine.send(.replicaMounted)
    #expect(owner.told(b) == true)
  }

  /// A file that could not be read, on a disk that is there, may be read the next time.
  @Test func nothingIsWithdrawnWhileNothingIsAway() throws {
    let owner = try owner()
    try owner.machine.send(.couldNotServe([a, b]))
    #expect(owner.told(b) == nil)
  }

  @Test func whoAsksForWhatIsNotHereChangesNothing() throws {
    let owner = try owner()
    try unplug(owner)
    _ = owner.machine.take()
    let before = owner.machine.replicator.holdings()
    try owner.machine.send(.couldNotServe([content("x"), content("y")]))
    #expect(owner.told(content("x")) == nil)
    let after = owner.machine.replicator.holdings()
    #expect(after.count == before.count && after.root == before.root)
  }

  /// A new connection is shown what can be had, and a peer that chooses is sent nothing else. Fails where the comparison shows what
  /// is available (`compareHoldings`).
  @Test func whatIsWithdrawnIsNotShownToWhoConnectsLater() throws {
    let owner = try owner()
    let machine = owner.machine
    try unplug(owner)
    try machine.send(.couldNotServe([b]))
    let shown = machine.replicator.holdings()
    #expect(shown.count == 1)
    #expect(machine.replicator.choose([whole(a), whole(b)], count: 2, for: owner.link) == [whole(a)])
    _ = machine.take()
    let later = try machine.connect(1, compares: false)
    let (_, mine) = try #require(machine.take().compared(later))
    #expect(mine.contains(a.digest) && !mine.contains(b.digest))
    let answer = machine.replicator.snapshot(of: .holdings, for: later)
    #expect(answer?.contains(b.digest) == false)
    // It hears of it like the others when the disk is back.
    try plugIn(owner)
    #expect(machine.take().told(later, of: b) == true)
  }

  /// Fails where only what was not available is offered (`setAvailable`).
  @Test func whatComesInAnotherWayIsOfferedAgain() throws {
    let owner = try owner()
    try unplug(owner)
    try owner.machine.send(.couldNotServe([b]))
    _ = owner.machine.take()
    try owner.machine.write("b", b, owner.machine.stamp(10, inode: 300))
    #expect(owner.told(b) == true)
  }

  /// Its last file goes: the others have heard already that it cannot be had. Fails where they are told again, or where it stays
  /// available (`makeUnavailable`).
  @Test func whatIsWithdrawnAndGoesIsNotToldTwice() throws {
    let owner = try owner()
    try unplug(owner)
    try owner.machine.send(.couldNotServe([b]))
    _ = owner.machine.take()
    try owner.machine.send(.folderRemoved(SingleMachine.folderID))
    try owner.machine.pass(.seconds(3))
    let actions = owner.machine.take()
    #expect(!owner.machine.isAvailable(b) && !owner.machine.isAvailable(a))
    #expect(actions.told(owner.link, of: a) == false && actions.told(owner.link, of: b) == nil)
  }

  /// A peer takes only so much news at once. Fails where all is offered in one event (`offerAgainIfDue`).
  @Test func muchIsOfferedAgainInPortions() throws {
    var settings = ReplicationSettings()
    settings.offeredAgain = 2
    let album = (0..<5).map { content("photo \($0)") }
    let owner = try owner(album: album, settings: settings)
    try unplug(owner)
    try owner.machine.send(.couldNotServe(album))
    _ = owner.machine.take()
    try plugIn(owner)
    func portions() -> [Int] {
      owner.machine.take().commands(owner.link).compactMap { command -> Int? in
        guard case .available(let added, _) = command, !added.isEmpty else { return nil }
        return added.count
      }
    }
    #expect(portions() == [2])
    try owner.machine.pass(settings.offerInterval)
    #expect(portions() == [2])
    try owner.machine.pass(settings.offerInterval * 100)
    #expect(portions() == [1])
  }
}
