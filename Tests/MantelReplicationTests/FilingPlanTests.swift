import MantelCore
import Testing

@testable import MantelReplication

@Suite struct FilingPlanTests {
  private let library = MachineID(Digest256(1, 0, 0, 0))
  private let photo = content("photo")

  private func id(_ number: UInt64) -> EntryID { EntryID(Digest256(number, 0, 0, 0)) }

  private func place(_ path: String, mtime: Int64 = 5, entry: UInt64 = 1) -> FilingPlan.Place {
    FilingPlan.Place(library: library, entry: id(entry), path: bytes(path), mtime: mtime)
  }

  private func file(
    _ path: String, mtime: Int64 = 5, entry: UInt64 = 1, inode: UInt64 = 1
  ) -> ReplicaFile {
    ReplicaFile(
      library: library, entry: id(entry), content: photo, path: bytes(path),
      stamp: FileStamp(size: 10, mtime: mtime, ctime: 0, inode: inode, device: 1),
      verified: WallTime(nanoseconds: 0))
  }

  private func plan(
    _ places: [FilingPlan.Place], files: [ReplicaFile] = [], source: FilingPlan.Source? = nil,
    occupied: Set<String> = [], ended: TrashEnd? = nil, copyLimit: Int = .max
  ) -> FilingPlan {
    FilingPlan(
      content: photo, places: places, files: files, source: source,
      occupied: Set(occupied.map { bytes($0) }), ended: ended, copyLimit: copyLimit)
  }

  private func toTrash(_ path: String, number: Int = 1, mtime: Int64 = 5) -> FilingOperation {
    .move(
      from: bytes(path), path: FilingPlan.trashPath(of: file(path), number: number), content: photo,
      mtime: mtime)
  }

  private func operations(_ plan: FilingPlan) -> [FilingOperation] {
    (plan.leaving + plan.arriving).map(\.operation)
  }

  @Test func aNewContentLandsOnceAndIsLinkedToItsOtherPlaces() {
    let plan = plan(
      [place("b", entry: 2), place("a", entry: 1), place("c", mtime: 6, entry: 3)], source: .staged)
    #expect(
      operations(plan) == [
        .land(photo, path: bytes("a"), mtime: 5),
        .link(from: bytes("a"), path: bytes("b"), content: photo, mtime: 5),
        .copy(from: bytes("a"), path: bytes("c"), content: photo, mtime: 6),
      ])
    #expect(plan.arriving.map(\.place?.entry) == [id(1), id(2), id(3)])
  }

  @Test func theOwnFileIsCopiedOnceAndNeverLinked() {
    let own = FilingPlan.Source.own(root: bytes("/photos"), path: bytes("mine.jpg"))
    let plan = plan([place("a"), place("b", entry: 2)], source: own)
    #expect(
      operations(plan) == [
        .copyOwn(
          root: bytes("/photos"), source: bytes("mine.jpg"), path: bytes("a"), content: photo, mtime: 5),
        .link(from: bytes("a"), path: bytes("b"), content: photo, mtime: 5),
      ])
  }

  @Test func filesAreMadeInTheOrderOfTheirPathsBeforeWhatIsMadeFromThem() {
    let operations: [FilingOperation] = [
      .link(from: bytes("c"), path: bytes("a"), content: photo, mtime: 5),
      .land(photo, path: bytes("d"), mtime: 5),
      .move(from: bytes("x"), path: bytes("e"), content: photo, mtime: 5),
      .copy(from: bytes("c"), path: bytes("b"), content: photo, mtime: 6),
      .land(photo, path: bytes("c"), mtime: 5),
    ]
    let steps = FilingPlan.sourcesFirst(operations.map { FilingPlan.Step(operation: $0, place: nil) })
    #expect(steps.map(\.operation.path) == ["e", "c", "d", "a", "b"].map { bytes($0) })
  }

  /// Landing what is staged, links, moves and the trash need no new bytes.
  @Test func withoutRoomOnlyCopiesAreLeftOut() {
    let own = FilingPlan.Source.own(root: bytes("/photos"), path: bytes("mine.jpg"))
    let copied = plan([place("a"), place("b", entry: 2)], source: own, copyLimit: 0)
    #expect(operations(copied).isEmpty && copied.lacksRoom && copied.copies == 0)
    let landed = plan(
      [place("a"), place("b", entry: 2), place("c", mtime: 6, entry: 3)], source: .staged, copyLimit: 0)
    #expect(
      operations(landed) == [
        .land(photo, path: bytes("a"), mtime: 5),
        .link(from: bytes("a"), path: bytes("b"), content: photo, mtime: 5),
      ])
    #expect(landed.lacksRoom)
    let moved = plan([place("new", entry: 2)], files: [file("old"), file("older", inode: 2)], copyLimit: 0)
    #expect(operations(moved).count == 2 && !moved.lacksRoom)
    let three = [place("a"), place("b", mtime: 6, entry: 2), place("c", mtime: 7, entry: 3)]
    let one = plan(three, source: .staged, copyLimit: 1)
    #expect(one.arriving.map(\.operation.path) == [bytes("a"), bytes("b")] && one.copies == 1)
    #expect(one.lacksRoom && !plan(three, source: .staged, copyLimit: 2).lacksRoom)
  }

  @Test func nothingHereIsNoPlan() {
    let plan = plan([place("a"), place("b", entry: 2)])
    #expect(operations(plan).isEmpty)
    #expect(plan.staying.isEmpty)
  }

  /// Only a drop lets bytes go, and a plan does not know of drops.
  @Test func aContentThatNoEntryNamesKeepsItsFiles() {
    #expect(operations(plan([], files: [file("a"), file("b", entry: 2)])).isEmpty)
  }

  @Test func aFileThatIsRightStaysAndIsRecordedUnderItsEntry() {
    let plan = plan([place("a", entry: 9)], files: [file("a", entry: 1)], source: .staged)
    #expect(operations(plan).isEmpty)
    #expect(plan.staying.map(\.place.entry) == [id(9)])
  }

  /// The name asked for was taken when it landed: it keeps the suffixed one.
  @Test func aFileUnderASuffixedNameStays() {
    let plan = plan([place("a")], files: [file("a (2)")])
    #expect(operations(plan).isEmpty)
    #expect(plan.staying.count == 1)
  }

  @Test func aMoveSendsNothing() {
    let plan = plan([place("new/a", entry: 2)], files: [file("old/a")])
    #expect(
      operations(plan) == [
        .move(from: bytes("old/a"), path: bytes("new/a"), content: photo, mtime: 5)
      ])
    #expect(plan.leaving.first?.former == bytes("old/a"))
  }

  @Test func aCopyOfWhatIsHereIsALinkAndASecondCopyGoesToTheTrash() {
    #expect(
      operations(plan([place("a"), place("b", entry: 2)], files: [file("a")])) == [
        .link(from: bytes("a"), path: bytes("b"), content: photo, mtime: 5)
      ])
    #expect(
      operations(plan([place("a")], files: [file("a"), file("b", entry: 2)])) == [toTrash("b")])
    // Two more, each under a name of its own.
    #expect(
      operations(plan([place("a")], files: [file("a"), file("b", entry: 2), file("c", entry: 3)]))
        == [toTrash("b"), toTrash("c", number: 2)])
  }

  /// The copy that stays may be gone, or have rotted, since anybody looked.
  @Test func aSecondCopyIsDeletedOnlyWhenItsTimeIsOverAndTheFirstWasReadMeanwhile() {
    var second = file(String(decoding: FilingPlan.trashPath(of: file("b.jpg")), as: UTF8.self), entry: 2)
    second.mark = .trashed(since: AgentTime(nanoseconds: 7), isConfirmed: true)
    for (trashed, read, goes) in [
      (7, 100, true), (7, 200, true), (6, 100, false), (7, 99, false), (7, 201, false),
    ] as [(Int64, Int64, Bool)] {
      var first = file("a")
      first.verified = WallTime(nanoseconds: read)
      let plan = plan(
        [place("a")], files: [first, second],
        ended: TrashEnd(
          trashed: AgentTime(nanoseconds: trashed),
          read: WallTime(nanoseconds: 100)...WallTime(nanoseconds: 200)))
      #expect(operations(plan) == (goes ? [.remove(path: second.path, content: photo)] : []))
    }
    // Nothing stays where it is: the one in the trash is taken.
    #expect(
      operations(plan([place("a")], files: [second])) == [
        .move(from: second.path, path: bytes("a"), content: photo, mtime: 5)
      ])
    // What has a name of its own is taken before it.
    #expect(
      operations(plan([place("a")], files: [second, file("z", entry: 3)])) == [
        .move(from: bytes("z"), path: bytes("a"), content: photo, mtime: 5)
      ])
  }

  /// Its library names it no more, and has not dropped it: it is neither a second copy nor to be moved, and can be copied.
  @Test func whatASilentLibraryHasStaysWhereItIs() {
    let silent = MachineID(Digest256(2, 0, 0, 0))
    var left = file("a-left.jpg", entry: 9, inode: 9)
    left.library = silent
    func plan(_ places: [FilingPlan.Place], _ files: [ReplicaFile]) -> [FilingOperation] {
      operations(
        FilingPlan(
          content: photo, places: places, files: files, silent: [silent], source: nil, occupied: []))
    }
    #expect(plan([place("b")], [file("b"), left]).isEmpty)
    #expect(
      plan([place("c", entry: 3)], [file("b"), left]) == [
        .move(from: bytes("b"), path: bytes("c"), content: photo, mtime: 5)
      ])
    #expect(
      plan([place("c", entry: 3)], [left]) == [
        .link(from: left.path, path: bytes("c"), content: photo, mtime: 5)
      ])
    #expect(
      plan([place("c", mtime: 6, entry: 3)], [left]) == [
        .copy(from: left.path, path: bytes("c"), content: photo, mtime: 6)
      ])
  }

  /// The file at the taken name moves itself in this batch: ours waits aside until it has.
  @Test func aTakenNameIsReachedThroughParking() {
    let plan = plan([place("b", entry: 2)], files: [file("a")], occupied: ["b"])
    let parking = FilingPlan.parking(photo)
    #expect(
      plan.leaving.map(\.operation) == [
        .move(from: bytes("a"), path: parking, content: photo, mtime: 5)
      ])
    #expect(
      plan.arriving.map(\.operation) == [
        .move(from: parking, path: bytes("b"), content: photo, mtime: 5)
      ])
    // It has a row there: whatever happens before the second move, the next plan finds it.
    #expect(plan.leaving.first?.place?.entry == id(2))
    #expect(plan.leaving.first?.former == bytes("a"))
    #expect(plan.arriving.first?.former == parking)
  }

  @Test func aParkedFileIsNotWhereItBelongs() {
    let parking = FilingPlan.parking(photo)
    let there = file(String(decoding: parking, as: UTF8.self), entry: 2)
    for occupied in [[], ["b"]] as [Set<String>] {
      #expect(
        operations(plan([place("b", entry: 2)], files: [there], occupied: occupied)) == [
          .move(from: parking, path: bytes("b"), content: photo, mtime: 5)
        ])
    }
  }

  @Test func aNewMtimeIsSetInPlaceOnAFileOfItsOwn() {
    #expect(
      operations(plan([place("a", mtime: 6, entry: 2)], files: [file("a")])) == [
        .move(from: bytes("a"), path: bytes("a"), content: photo, mtime: 6)
      ])
  }

  /// Empty files and common sidecars have one content and ten thousands of places.
  @Test(.timeLimit(.minutes(1))) func manyPlacesOfOneContentArePlannedInOnePass() {
    let count: UInt64 = 20_000
    let places = (0..<count).map { place("new/\($0)", mtime: Int64($0 % 7), entry: $0) }
    let files = (0..<count).map { file("old/\($0)", mtime: Int64($0 % 5), entry: $0 + count, inode: $0 + 1) }
    #expect(operations(plan(places, source: .staged)).count == Int(count))
    let moves = plan(places, files: files)
    #expect(moves.leaving.count == Int(count) && moves.arriving.isEmpty)
    #expect(Set(moves.leaving.map(\.operation.path)).count == Int(count))
  }

  /// Touched by somebody: what the entry asks for is set again.
  @Test func aFileOfAnotherTimeGetsItsTimeBack() {
    #expect(
      operations(plan([place("a")], files: [file("a (2)", mtime: 9)])) == [
        .move(from: bytes("a (2)"), path: bytes("a (2)"), content: photo, mtime: 5)
      ])
  }

  /// Links share an mtime: setting one's would change the other's.
  @Test func aNewMtimeForOneOfTwoLinksDoesNotTouchTheOther() {
    let files = [file("a", entry: 1, inode: 3), file("b", entry: 2, inode: 3)]
    let plan = plan(
      [place("a", mtime: 6, entry: 8), place("b", mtime: 5, entry: 2)], files: files)
    #expect(plan.staying.map(\.place.entry) == [id(2)])
    // The name is taken by the link that goes; the copy comes after it.
    #expect(plan.leaving.map(\.operation) == [toTrash("a")])
    #expect(
      plan.arriving.map(\.operation) == [
        .copy(from: bytes("b"), path: bytes("a"), content: photo, mtime: 6)
      ])
  }

  /// Whatever the change, each place ends with one operation or stays, and nothing is taken from a path that went.
  @Test(arguments: [5, 6], [5, 6]) func twoLinksEndAtTheirPlaces(first: Int64, second: Int64) {
    let plan = plan(
      [place("a", mtime: first, entry: 8), place("c", mtime: second, entry: 9)],
      files: [file("a", entry: 1, inode: 3), file("b", entry: 2, inode: 3)])
    expect(plan, ends: [bytes("a"): first, bytes("c"): second])
  }

  /// Two hard links that somebody touched, and what one of them should be.
  @Test(arguments: [1, 8] as [UInt64]) func touchedLinksEndAtTheirPlaces(entry: UInt64) {
    let plan = plan(
      [place("a", mtime: 6, entry: entry), place("b", mtime: 6, entry: 2)],
      files: [file("a", entry: 1, inode: 3), file("b", entry: 2, inode: 3)])
    expect(plan, ends: [bytes("a"): 6, bytes("b"): 6])
  }

  private func expect(_ plan: FilingPlan, ends: [[UInt8]: Int64]) {
    var there: [[UInt8]: Int64] = [bytes("a"): 5, bytes("b"): 5]
    for operation in operations(plan) {
      switch operation {
      case .move(let from, let path, _, let mtime):
        #expect(there.removeValue(forKey: from) != nil, "\(operation)")
        #expect(there.updateValue(mtime, forKey: path) == nil, "\(operation)")
      case .link(let from, let path, _, let mtime):
        #expect(there[from] == mtime)
        #expect(there.updateValue(mtime, forKey: path) == nil, "\(operation)")
      case .copy(let from, let path, _, let mtime):
        #expect(there[from] != nil)
        #expect(there.updateValue(mtime, forKey: path) == nil, "\(operation)")
      case .remove(let path, _): #expect(there.removeValue(forKey: path) != nil)
      case .land, .copyOwn: Issue.record("nothing is staged")
      }
    }
    #expect(there.filter { !FilingPlan.isDiscarded($0.key) } == ends)
  }
}
