import MantelCore
import MantelSummary
import Testing

@Suite struct SummaryIndexTests {
  /// Random operations on three sets, compared with plain `Set`s and the naive root after each batch.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func behavesLikeTheNaiveModel(seed: UInt64) {
    var random = Mixer(seed)
    let pool = random.ids(300) + random.clusters(4, of: 60)
    var index = SummaryIndex()
    var handles = (0..<3).map { _ in index.addSet(Fixtures.tag) }
    var model: [Set<Digest256>] = [[], [], []]
    let naive = NaiveSummary(tag: Fixtures.tag)
    for round in 0..<40 {
      let which = Int.random(in: 0..<3, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        index.removeAll(from: handles[which])
        model[which] = []
      case 1:
        index.removeSet(handles[which])
        handles[which] = index.addSet(Fixtures.tag)
        model[which] = []
      case 2...4:
        let ids = (0..<120).map { _ in pool.randomElement(using: &random) ?? .zero }.sorted()
        index.insert(sorted: ids, into: handles[which])
        model[which].formUnion(ids)
      case 5:
        let ids = (0..<60).map { _ in pool.randomElement(using: &random) ?? .zero }.sorted()
        index.remove(sorted: ids, from: handles[which])
        model[which].subtract(ids)
      default:
        for _ in 0..<40 {
          guard let id = pool.randomElement(using: &random) else { continue }
          if Bool.random(using: &random) {
            #expect(index.insert(id, into: handles[which]) == model[which].insert(id).inserted)
          } else {
            #expect(index.remove(id, from: handles[which]) == (model[which].remove(id) != nil))
          }
        }
      }
      for set in 0..<3 {
        #expect(index.count(of: handles[set]) == model[set].count)
        if round % 4 == 3 {
          #expect(index.root(of: handles[set]) == naive.root(model[set].sorted()))
          #expect(index.snapshot(of: handles[set]).all == model[set].sorted())
        }
      }
      checkAlgebra(index, handles, model, start: random.id())
    }
  }

  private func checkAlgebra(
    _ index: SummaryIndex, _ handles: [SetHandle], _ model: [Set<Digest256>], start: Digest256
  ) {
    var found: [Digest256] = []
    index.forEach(in: [handles[0], handles[1]], notIn: [handles[2]], from: start) {
      found.append($0)
      return true
    }
    #expect(
      found == model[0].intersection(model[1]).subtracting(model[2]).filter { $0 >= start }.sorted())
    var any: [Digest256] = []
    index.forEach(in: [], notIn: [], from: .zero) {
      any.append($0)
      return any.count < 50
    }
    #expect(any == Array(model[0].union(model[1]).union(model[2]).sorted().prefix(50)))
  }

  @Test func rootDoesNotDependOnHistory() {
    var random = Mixer(7)
    let ids = random.ids(2_000)
    let expected = SetSnapshot(sorted: ids, tag: Fixtures.tag).root
    var index = SummaryIndex()
    let other = index.addSet(Fixtures.tag)
    let set = index.addSet(Fixtures.tag)
    for id in random.ids(500) { index.insert(id, into: other) }
    for id in random.ids(300) { index.insert(id, into: set) }
    let passing = index.snapshot(of: set).all
    for id in ids.shuffled(using: &random) { index.insert(id, into: set) }
    for id in passing.shuffled(using: &random) { index.remove(id, from: set) }
    #expect(index.root(of: set) == expected)
    #expect(index.contains(ids[0], in: set))
    #expect(!index.contains(ids[0], in: other))
  }

  @Test func snapshotStaysPinned() {
    var random = Mixer(8)
    let ids = random.ids(1_000)
    var index = SummaryIndex()
    let set = index.addSet(Fixtures.tag)
    let other = index.addSet(Fixtures.tag)
    index.insert(sorted: ids, into: set)
    let pinned = index.snapshot(of: set)
    let more = random.ids(500)
    for id in more { index.insert(id, into: other) }
    for id in ids.prefix(600) { index.remove(id, from: set) }
    index.insert(sorted: more, into: set)
    index.removeAll(from: other)
    #expect(pinned.all == ids)
    #expect(pinned.count == 1_000)
    #expect(pinned.root == SetSnapshot(sorted: ids, tag: Fixtures.tag).root)
    #expect(pinned.contains(ids[0]) && !pinned.contains(more[0]))
    #expect(index.root(of: set) != pinned.root)
  }

  @Test func applyingMakesACandidate() {
    var random = Mixer(9)
    let ids = random.ids(3_000)
    let base = SetSnapshot(sorted: ids, tag: Fixtures.tag)
    let added = random.ids(40)
    let candidate = base.applying(
      added: added.reversed(), removed: Array(ids[100..<150].reversed()) + [random.id()])
    let expected = Set(ids).subtracting(ids[100..<150]).union(added).sorted()
    #expect(candidate.all == expected)
    #expect(candidate.root == SetSnapshot(sorted: expected, tag: Fixtures.tag).root)
    #expect(base.all == ids)
  }

  @Test func iterationStartsAndStopsWhereItIsTold() {
    var random = Mixer(10)
    let ids = random.ids(500)
    let snapshot = SetSnapshot(sorted: ids, tag: Fixtures.tag)
    var seen: [Digest256] = []
    snapshot.forEach(from: ids[123]) {
      seen.append($0)
      return seen.count < 5
    }
    #expect(seen == Array(ids[123..<128]))
    var tail: [Digest256] = []
    snapshot.forEach(from: Digest256(.max)) {
      tail.append($0)
      return true
    }
    #expect(tail.isEmpty)
  }
}
