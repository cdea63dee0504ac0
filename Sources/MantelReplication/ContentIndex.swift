import MantelCore
import MantelSummary

/// All sets of contents over one sorted array: what each library wants, what is held and available here, and
/// what each connected peer has.
struct ContentIndex: Sendable {
  let household: HouseholdID
  var index = SummaryIndex()
  /// Durable: drives complete and safe.
  let held: SetHandle
  /// Verified, can be served now, may be lost in a crash: drives the swarm. Holds `held`.
  let available: SetHandle
  /// What peers are told of it: without what was withdrawn, because its disk is away (`Withdrawals`).
  let offered: SetHandle
  /// Own live contents that some other machine attests.
  let safe: SetHandle
  /// Own contents that a peer had, by its own word, on a connection that is over.
  let seen: SetHandle
  private(set) var byLibrary: [MachineID: LibrarySets] = [:]

  struct LibrarySets: Sendable {
    /// Live and retired.
    var wanted: SetHandle
    var live: SetHandle
    /// `wanted` and held.
    var heldWanted: SetHandle
    /// `live` and held.
    var heldLive: SetHandle
  }

  init(household: HouseholdID) {
    self.household = household
    held = index.addSet(.holdings(household))
    available = index.addSet(.holdings(household))
    offered = index.addSet(.holdings(household))
    safe = index.addSet(.holdings(household))
    seen = index.addSet(.holdings(household))
  }

  mutating func sets(of library: MachineID) -> LibrarySets {
    if let sets = byLibrary[library] { return sets }
    let tag = SetTag.contents(household, library: library)
    let sets = LibrarySets(
      wanted: index.addSet(tag), live: index.addSet(tag), heldWanted: index.addSet(tag),
      heldLive: index.addSet(tag))
    byLibrary[library] = sets
    return sets
  }

  /// Sets a content's place in a library; returns whether it was wanted before.
  mutating func place(_ content: ContentID, in library: MachineID, wanted: Bool, live: Bool) {
    let sets = sets(of: library)
    let id = content.digest
    let isHeld = index.contains(id, in: held)
    set(id, sets.wanted, wanted)
    set(id, sets.live, live)
    set(id, sets.heldWanted, wanted && isHeld)
    set(id, sets.heldLive, live && isHeld)
  }

  /// The same for many contents that are live now; ascending.
  mutating func placeLive(_ contents: [ContentID], in library: MachineID) {
    let ids = contents.map(\.digest)
    place(wanted: ids, live: ids, in: library)
  }

  /// The same for many contents that are wanted now, those of them that are live included; ascending.
  mutating func place(wanted: [Digest256], live: [Digest256], in library: MachineID) {
    let sets = sets(of: library)
    let heldWanted = wanted.filter { index.contains($0, in: held) }
    let heldLive = live.filter { index.contains($0, in: held) }
    index.insert(sorted: wanted, into: sets.wanted)
    index.insert(sorted: live, into: sets.live)
    index.insert(sorted: heldWanted, into: sets.heldWanted)
    index.insert(sorted: heldLive, into: sets.heldLive)
  }

  /// What is held has to be available already: `Replicator.makeAvailable` tells the others of it.
  mutating func setHeld(_ content: ContentID, _ isHeld: Bool) {
    let id = content.digest
    precondition(!isHeld || isAvailable(content), "nobody was told that it is here")
    set(id, held, isHeld)
    for sets in byLibrary.values {
      set(id, sets.heldWanted, isHeld && index.contains(id, in: sets.wanted))
      set(id, sets.heldLive, isHeld && index.contains(id, in: sets.live))
    }
  }

  /// What is available is offered, too, from then on. Returns whether what is offered changed.
  @discardableResult
  mutating func setAvailable(_ content: ContentID, _ isAvailable: Bool) -> Bool {
    set(content.digest, available, isAvailable)
    return set(content.digest, offered, isAvailable)
  }

  /// It stays available to all that this machine decides, and peers are told that it is not. Returns whether it was offered.
  mutating func withdraw(_ content: ContentID) -> Bool { set(content.digest, offered, false) }

  func isHeld(_ content: ContentID) -> Bool { index.contains(content.digest, in: held) }
  func isAvailable(_ content: ContentID) -> Bool { index.contains(content.digest, in: available) }
  func isOffered(_ content: ContentID) -> Bool { index.contains(content.digest, in: offered) }
  func isSafe(_ content: ContentID) -> Bool { index.contains(content.digest, in: safe) }

  func isWanted(_ content: ContentID, in library: MachineID) -> Bool {
    byLibrary[library].map { index.contains(content.digest, in: $0.wanted) } ?? false
  }

  /// Whether the library of some other machine wants it.
  func isWantedByOther(than machine: MachineID, _ content: ContentID) -> Bool {
    byLibrary.contains { $0.key != machine && index.contains(content.digest, in: $0.value.wanted) }
  }

  func isLive(_ content: ContentID, in library: MachineID) -> Bool {
    byLibrary[library].map { index.contains(content.digest, in: $0.live) } ?? false
  }

  @discardableResult
  private mutating func set(_ id: Digest256, _ handle: SetHandle, _ isIn: Bool) -> Bool {
    isIn ? index.insert(id, into: handle) : index.remove(id, from: handle)
  }
}
