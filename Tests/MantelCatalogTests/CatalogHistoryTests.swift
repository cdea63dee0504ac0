import MantelCatalog
import MantelCore
import Testing

/// Random histories against a naive model: whatever the order of staging, installing, publishing, filing and restarts,
/// every answer is that of brute force.
@Suite struct CatalogHistoryTests {
  @Test(arguments: Home.allCases, 1...4)
  func answersEqualBruteForce(home: Home, seed: Int) throws {
    try follow(home, seed: seed, bulk: Catalog.bulk)
  }

  /// Two entries are many already: they are staged in bulk, and moved with indexes that are made again.
  @Test(arguments: Home.allCases, 1...4)
  func answersEqualBruteForceInBulk(home: Home, seed: Int) throws {
    try follow(home, seed: seed, bulk: 2)
  }

  private func follow(_ home: Home, seed: Int, bulk: Int) throws {
    var history = try RandomHistory(home, seed: UInt64(seed), bulk: bulk)
    for _ in 0..<80 {
      try history.step()
      try history.check()
    }
    for library in Fixture.machines { try history.checkDeltas(of: library) }
    #expect(history.heads > 15)
  }
}

extension Fixture {
  static let machines = [own, anna, bert]
}

private struct RandomHistory {
  private let fixture: CatalogFixture
  private var model = CatalogModel(own: Fixture.own)
  private var random: SplitMix
  private var sequence: UInt64 = 0
  private var catalog: Catalog { fixture.catalog }

  /// Few entries, so that they come back after they went; few contents, so that libraries meet in them.
  private var pool: [Entry] = []
  private static let contents: UInt64 = 6

  init(_ home: Home, seed: UInt64, bulk: Int) throws {
    fixture = try CatalogFixture(home, bulk: bulk)
    random = SplitMix(seed: seed)
    try catalog.putFolder(Fixture.ownFolder())
    let states: [EntryState] = [
      .live, .live, .live, .retired(.replaced, at: WallTime(nanoseconds: 1)),
      .unheld(at: WallTime(nanoseconds: 2)), .dropped(at: WallTime(nanoseconds: 3)),
    ]
    for index in 0..<24 {
      pool.append(
        Fixture.entry(
          "path \(index % 11)", number(Self.contents), state: states[index % 6],
          mtime: Int64(number(3)) - 1))
    }
  }

  private mutating func number(_ bound: UInt64) -> UInt64 { random.next(upperBound: bound) }

  private mutating func entry() -> Entry { pool[Int(number(UInt64(pool.count)))] }

  private mutating func some(_ ids: [EntryID]) -> [EntryID] {
    ids.sorted().filter { _ in random.next() & 1 == 0 }
  }

  mutating func step() throws {
    let library = Fixture.machines[Int(number(3))]
    let isClosed = model.closed.contains(library)
    switch number(13) {
    case 0..<3 where library != Fixture.own: try stage(library)
    case 3..<5 where library != Fixture.own: try stageRemoval(library)
    case 5 where library != Fixture.own: try unstage(library)
    case 6..<9: if library == Fixture.own { try publish() } else { try install(library) }
    case 9: try file()
    case 10: try own()
    case 11 where library != Fixture.own && number(4) == 0: try close(library, !isClosed)
    default: try fixture.reopen()
    }
  }

  var heads: Int { model.libraries.values.reduce(0) { $0 + $1.history.count } }

  private mutating func stage(_ library: MachineID) throws {
    let entries = (0..<number(4) + 1).map { _ in entry() }
    sequence += 1
    try catalog.stage(library, Fixture.order(sequence), Fixture.identified(entries))
    model.stage(library, entries)
  }

  private mutating func stageRemoval(_ library: MachineID) throws {
    let ids = some(Array((model.libraries[library]?.installed ?? [:]).keys))
    sequence += 1
    try catalog.stageRemoval(library, Fixture.order(sequence), ids + [Fixture.id(entry())])
    model.stageRemoval(library, ids)
    // The extra id may be known after all.
    let removed = try catalog.staged(library).removed
    model.stageRemoval(library, removed)
  }

  private mutating func unstage(_ library: MachineID) throws {
    let staged = try catalog.staged(library)
    let (added, removed) = (some(staged.added), some(staged.removed))
    try catalog.unstage(library, added: added, removed: removed)
    model.unstage(library, added: added, removed: removed)
  }

  private mutating func install(_ library: MachineID) throws {
    sequence += 1
    let order = Fixture.order(sequence)
    if model.install(library, order) {
      try catalog.install(library, head: Fixture.head(library, order))
    } else {
      let error = #expect(throws: StoreError.self) {
        try catalog.install(library, head: Fixture.head(library, order))
      }
      #expect(error?.code == .constraint)
      try catalog.discardStaged(library)
      model.libraries[library]?.added = [:]
      model.libraries[library]?.removed = []
    }
  }

  private mutating func publish() throws {
    let own = Fixture.own
    let installed = model.libraries[own]?.installed ?? [:]
    let removed = some(Array(installed.keys))
    var added: [EntryID: Entry] = [:]
    for _ in 0..<number(4) {
      let entry = entry()
      let id = Fixture.id(entry)
      if installed[id] == nil || removed.contains(id) { added[id] = entry }
    }
    sequence += 1
    let order = Fixture.order(sequence)
    let before = model
    model.stageRemoval(own, removed.filter { added[$0] == nil })
    model.stage(own, Array(added.values))
    let change = LibraryChange(added: added.map { ($0.key, $0.value) }, removed: removed)
    if model.install(own, order) {
      // Ids that went and came back changed as rows, though not as a set.
      let returned = removed.filter { added[$0] != nil }.compactMap { installed[$0]?.content }
      model.libraries[own]?.changed.formUnion(returned)
      try catalog.publish(change, head: Fixture.head(own, order, root: sequence), files: [])
    } else {
      model = before
      #expect(throws: StoreError.self) {
        try catalog.publish(change, head: Fixture.head(own, order), files: [])
      }
    }
  }

  private mutating func file() throws {
    var put: [ReplicaFile] = []
    for _ in 0..<number(4) {
      let content = number(Self.contents)
      put.append(Fixture.replicaFile("file \(number(5))", content))
    }
    let removed = model.replica.keys.sorted { $0.lexicographicallyPrecedes($1) }
      .filter { _ in random.next() & 1 == 0 }
    let filed = model.unfiled.sorted().filter { _ in random.next() & 1 == 0 }
    try catalog.commitFiling(put: put, removed: removed, filed: filed)
    for path in removed { model.replica[path] = nil }
    for file in put { model.replica[file.path] = file }
    model.unfiled.subtract(filed)
  }

  private mutating func own() throws {
    let content = number(Self.contents)
    let isPublished = number(2) == 0
    let file = Fixture.file(
      "own \(content)", isPublished ? .published : .pending(.hashing), content: content)
    try catalog.putFiles([file])
    if isPublished {
      model.ownHeld.insert(Fixture.content(content))
    } else {
      model.ownHeld.remove(Fixture.content(content))
    }
  }

  private mutating func close(_ library: MachineID, _ isClosed: Bool) throws {
    guard model.libraries[library] != nil else { return }
    try catalog.setClosed(library, isClosed)
    model.libraries[library]?.added = [:]
    model.libraries[library]?.removed = []
    if isClosed { model.closed.insert(library) } else { model.closed.remove(library) }
    // Closing takes contents out of the queue, opening puts all in: the queue is compared anew from here.
    model.unfiled = Set(try catalog.unfiled(limit: 1_000))
    if !isClosed, let installed = model.libraries[library]?.installed.values {
      #expect(model.unfiled.isSuperset(of: installed.map(\.content)))
    }
  }

  mutating func check() throws {
    for library in Fixture.machines {
      let state = model.libraries[library] ?? CatalogModel.Library()
      #expect(try catalog.entryIDs(library) == state.installed.keys.sorted())
      let wanted = state.installed.values.filter(\.state.isWanted)
      #expect(try catalog.wanted(library) == Set(wanted.map(\.content)).sorted())
      let live = wanted.filter(\.state.isLive)
      #expect(try catalog.wanted(library, liveOnly: true) == Set(live.map(\.content)).sorted())
      let staged = try catalog.staged(library)
      #expect(staged.added == state.added.keys.sorted())
      #expect(staged.removed == state.removed.sorted())
      #expect(staged.counts == model.counts(state.staged))
      #expect(Set(try catalog.changedContents(library)) == state.changed)
      let missing = try catalog.missing(in: library, limit: 2)
      let expected = model.closed.contains(library) ? [] : model.missing(in: library)
      #expect(missing.count == expected.count)
      #expect(missing.contents == Array(expected.prefix(2)))
      let orphaned = try catalog.orphanedEntries(library).map(\.content)
      #expect(Set(orphaned) == state.orphans)
      let count = model.closed.contains(library) ? 0 : state.orphans.count
      #expect(try catalog.orphans()[library]?.files ?? 0 == count)
      #expect(try catalog.orphans(in: library).files == count)
      try checkLastHead(of: library, state)
    }
    let wantedTimes = model.missing
    let missing = try catalog.allMissing(pageSize: Int(number(3)) + 1)
    #expect(missing.map(\.content).sorted() == wantedTimes.keys.sorted(), "each once")
    #expect(missing.allSatisfy { wantedTimes[$0.content]?[$0.library] == $0.mtime })
    for library in Fixture.machines {
      let part = missing.filter { $0.library == library }
      let newestFirst = part.sorted {
        $0.mtime != $1.mtime ? $0.mtime > $1.mtime : $0.content < $1.content
      }
      #expect(part == newestFirst)
    }
    #expect(Set(try catalog.unfiled(limit: 1_000)) == model.unfiled)
    #expect(try catalog.held() == model.held.sorted())
    for content in (0..<Self.contents).map(Fixture.content) {
      #expect(try catalog.isWanted(content) == model.isWanted(content))
      let found = try catalog.missingContent(content)
      #expect(found?.mtime == wantedTimes[content]?.values.max())
      if let found { #expect(wantedTimes[content]?[found.library] == found.mtime) }
      let entries = model.open.flatMap { machine, library in
        library.installed.filter { $0.value.content == content && $0.value.state.isWanted }.keys
      }
      #expect(try catalog.entries(of: content).map(\.id).sorted() == entries.sorted())
      for library in Fixture.machines {
        let former = (model.libraries[library]?.installed ?? [:]).filter {
          $0.value.content == content && (1...2).contains($0.value.state.code)
        }
        #expect(try catalog.formerEntries(library, of: content).map(\.id) == former.keys.sorted())
      }
    }
  }

  /// It has an entry of an orphan, and the next one does not.
  private func checkLastHead(of library: MachineID, _ state: CatalogModel.Library) throws {
    let last = try catalog.lastHead(orphanedIn: library)?.record.order
    let named = state.history.last { head in
      head.view.values.contains { $0.state.isWanted && state.orphans.contains($0.content) }
    }
    #expect(last == named?.order)
  }

  mutating func checkDeltas(of library: MachineID) throws {
    guard let state = model.libraries[library], !model.closed.contains(library) else { return }
    var heads = [(order: HeadOrder.none, view: [EntryID: Entry]())]
    heads += state.history
    for (index, from) in heads.enumerated() {
      for to in heads[max(index, 1)...] {
        let pageBytes = Int(number(400)) + 1
        let delta = try #require(
          try catalog.wholeDelta(library, from.order, to.order, maximumBytes: pageBytes))
        let added = to.view.filter { from.view[$0.key] == nil }
        let removed = from.view.filter { to.view[$0.key] == nil }
        #expect(delta.added.count == added.count)
        #expect(Set(delta.added) == Set(added.values.map(\.canonicalBytes)))
        #expect(delta.removed.sorted() == removed.keys.sorted())
      }
    }
    try checkWanted(of: library, heads)
  }

  private func checkWanted(
    of library: MachineID, _ heads: [(order: HeadOrder, view: [EntryID: Entry])]
  ) throws {
    let now = heads.last.map { wanted($0.view) } ?? []
    for head in heads {
      let then = wanted(head.view)
      let changes = try #require(try catalog.wantedChanges(library, since: head.order))
      #expect(Set(changes.came) == now.subtracting(then) && changes.came.count == Set(changes.came).count)
      #expect(Set(changes.went) == then.subtracting(now) && changes.went.count == Set(changes.went).count)
      for content in (0..<Self.contents).map(Fixture.content) {
        #expect(try catalog.wasWanted(content, in: library, at: head.order) == then.contains(content))
      }
    }
  }

  private func wanted(_ view: [EntryID: Entry]) -> Set<ContentID> {
    Set(view.values.filter(\.state.isWanted).map(\.content))
  }
}
