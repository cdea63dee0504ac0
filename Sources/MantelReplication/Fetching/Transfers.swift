import BitCollections
import MantelCore

/// What is being fetched, over all links.
struct Transfers: Sendable {
  /// Units asked for, by the link that was asked.
  var inFlight: [UnitID: LinkID] = [:]
  /// Large contents of which blocks are on their way.
  var large: [ContentID: LargeTransfer] = [:]
  /// Verified contents whose bytes lie in the staging area.
  var staged: Set<ContentID> = []
  /// Bytes of those of them that came as one unit.
  var stagedSizes: [ContentID: UInt64] = [:]
  /// Those that came a second time, over another link: a file may lie in the staging area after the first was landed.
  var cameAgain: Set<ContentID> = []
  /// Those of them that came in blocks. The catalog keeps their manifests until they are landed: by these their bytes are
  /// known again after a restart.
  var stagedLarge: Set<ContentID> = []
  /// Contents not to be asked for before a moment: a peer was busy, or the file was changing.
  var notBefore = Delays<ContentID>()
  /// What was said of missing contents and got nothing, while others say otherwise; at most `doubtedClaims` contents.
  var doubtedClaims: [ContentID: Set<ContentClaim>] = [:]
  /// What an earlier run had staged is known: before that it would be fetched again.
  var isRecovered = false
  /// Something changed since all links were found to have nothing to ask for.
  var isWorthLooking = true
  /// Set while the disk is too full to stage.
  var pausedUntil: Instant?
  /// How often a unit in flight was taken from one link and given to another.
  var takenOver: [UnitID: Int] = [:]
  /// When links without work are next offered what others were asked for long ago.
  var takeOverDue: Instant?
  /// Size of the smallest large content that was passed by because it does not fit on the disk.
  var leftForRoom: UInt64?
  /// Bytes verified since start, for rates.
  var receivedBytes: UInt64 = 0

  var nextDeadline: Instant? {
    [pausedUntil, takeOverDue, notBefore.nextDeadline].compactMap(\.self).min()
  }
}

/// A large content on its way.
struct LargeTransfer: Sendable {
  let missing: MissingContent
  /// Nil while it is on its way itself.
  private(set) var manifest: Manifest?
  private(set) var has: BitSet
  /// Blocks that are neither here nor asked for, nor wait to be shared.
  private var open: BitSet = []
  var isAssembling = false
  /// Its space is no part any more of the room that was measured last.
  var isReserved = false

  init(missing: MissingContent, manifest: Manifest? = nil, has: BitSet = []) {
    self.missing = missing
    self.has = has
    if let manifest { begin(manifest) }
  }

  mutating func begin(_ manifest: Manifest) {
    self.manifest = manifest
    open = BitSet(0..<manifest.blocks.count).subtracting(has)
  }

  /// The lowest block that is open.
  func nextBlock() -> UInt32? { open.first.map(UInt32.init) }

  func nextBlock(among blocks: BitSet) -> UInt32? { open.intersection(blocks).first.map(UInt32.init) }

  func isOpen(_ block: UInt32) -> Bool { open.contains(Int(block)) }

  /// A block is asked for, or shared, from now on.
  mutating func reserve(_ block: UInt32) { open.remove(Int(block)) }

  mutating func release(_ block: UInt32) {
    guard let manifest, block < manifest.blocks.count, !has.contains(Int(block)) else { return }
    open.insert(Int(block))
  }

  /// False for one that was here, or that there is not.
  mutating func came(_ block: UInt32) -> Bool {
    guard let manifest, block < manifest.blocks.count else { return false }
    open.remove(Int(block))
    return has.insert(Int(block)).inserted
  }

  var hasBegun: Bool { !has.isEmpty }

  /// The manifest, or a block that was asked for or is shared, has not come yet.
  var isAwaited: Bool { manifest.map { open.count + has.count < $0.blocks.count } ?? true }

  var isWhole: Bool { manifest.map { has.count == $0.blocks.count } ?? false }
}
