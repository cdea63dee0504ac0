import MantelCore

@testable import MantelReplication

/// Links that carry nothing one way, as a partition may that cuts one direction alone, and links that are slow.
extension SimulatedHousehold {
  /// One direction of a link: to the machine of this number.
  struct Way: Hashable, Comparable {
    let link: LinkID
    let to: Int

    static func < (left: Self, right: Self) -> Bool { (left.link, left.to) < (right.link, right.to) }
  }

  /// Something has come to the end of its way; nowhere, when the cable is cut.
  func arrive(_ way: Way, _ run: @escaping () throws -> Void) throws {
    guard !dead.contains(way.link), machines[way.to].links[way.link] != nil else { return }
    if withheld[way] != nil { withheld[way]?.append(run) } else { try run() }
  }

  /// From now on nothing that a machine says arrives at another, which it still hears: on none of the links that they have.
  func silence(_ from: Int, to: Int) -> [Way] {
    note("hears m\(from) no more", at: to)
    let ways = machines[to].links.filter { $0.value.peer == from && !dead.contains($0.key) }.keys.sorted()
      .map { Way(link: $0, to: to) }
    for way in ways where withheld[way] == nil { withheld[way] = [] }
    return ways
  }

  /// What was withheld comes all at once, as what TCP sends again; or somebody has found the other too silent, and hung up.
  func endSilence(_ ways: [Way], isCut: Bool) throws {
    for way in ways {
      guard let waiting = withheld.removeValue(forKey: way) else { continue }
      if isCut {
        cut(way.link)
        continue
      }
      for run in waiting { try arrive(way, run) }
    }
  }

  /// Everything that is said over the links of two machines takes longer.
  func slowDown(_ left: Int, _ right: Int, times factor: Int64) {
    note("is slow to m\(right)", at: left)
    for link in machines[left].links.filter({ $0.value.peer == right }).keys { slowness[link] = factor }
  }
}
