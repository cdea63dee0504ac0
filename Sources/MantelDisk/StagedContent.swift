import CMantelSystem
import Crypto
import Glibc
package import MantelCore
import Synchronization

/// A content on its way into the replica: one file in the staging area.
///
/// A content of one unit has a file of its own for each peer that sends it, which gets the content's name once it was
/// verified, and is never written to again: it may lie at its final name by then. Blocks of a large content come from
/// several peers into one file that has the content's name; a block that was verified is not written to again.
/// Bytes are hashed as they come in, in order; what came out of order is read again when it is verified. Calls block.
/// Nothing of it is durable before `Replica.commit`, or `syncBlocks` for large ones.
package final class StagedContent: Sendable {
  private struct RunningHash {
    var hasher = SHA256()
    /// Bytes hashed, from the start of the unit on without a gap.
    var position: UInt64 = 0

    /// A write at 0 begins anew: another peer tries.
    mutating func take(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
      if offset == 0, position > 0 { self = RunningHash() }
      if offset == position {
        hasher.update(bufferPointer: bytes)
        position += UInt64(bytes.count)
      } else if offset < position {
        // Bytes under the hash were replaced: it tells nothing any more.
        self = RunningHash()
      }
    }

    var digest: Digest256 { Digest256(hasher.finalize()) }
  }
  private struct State {
    /// Of a whole unit: what was written in order. Of a large content: the verified blocks from the start on.
    var whole = RunningHash()
    var blocks: [UInt32: RunningHash] = [:]
    var verified: [UInt8]
    var wasWritten = false
    /// Of a large content: a block was about to be written, which its replica knows.
    var isUnderWay = false
    /// The file has the content's name, or is to go with this value.
    var hasName: Bool
    /// Verified as a whole: the file may lie at its final name by now, and is never written to again.
    var isFinished = false

    func isVerified(_ part: UnitID.Part) -> Bool {
      if case .block(let index) = part, verified.hasBit(Int(index)) { return true }
      return isFinished
    }

    mutating func markBlock(_ index: UInt32, isVerified: Bool) {
      let bit = UInt8(1) << UInt8(index & 7)
      if isVerified { verified[Int(index >> 3)] |= bit } else { verified[Int(index >> 3)] &= ~bit }
      // A block under the hashed prefix that is written again takes the prefix back.
      if !isVerified, whole.position > UInt64(index) * UInt64(Limits.blockBytes) { whole = RunningHash() }
    }
  }

  package let content: ContentID
  package let size: UInt64
  private let layout: UnitLayout
  private let file: OpenFile
  private let replica: Replica
  /// The file's name in the staging area as long as it does not have the content's.
  private let temporaryName: [UInt8]?
  private let failedSyncfs: UInt64
  private let state: Mutex<State>
  /// Whose turn it is to write and verify: a block is one piece, and the last check comes after all of them.
  private let turn = Mutex(())

  /// Blocks hashed while they come in; more at once are read again when they are verified.
  private static let runningBlocks = 256
  /// Blocks of the contiguous prefix that one `verifyBlock` may add to the whole hash: keeps pace without stalling.
  private static let chasedBlocks = 8

  /// Without a temporary name the file has the content's.
  init(content: ContentID, size: UInt64, file: OpenFile, temporaryName: [UInt8]? = nil, replica: Replica) {
    self.content = content
    self.size = size
    self.file = file
    self.replica = replica
    layout = UnitLayout(size: size)
    self.temporaryName = temporaryName
    failedSyncfs = replica.syncer.failedSyncfs
    state = Mutex(
      State(
        verified: [UInt8](repeating: 0, count: (layout.blockCount + 7) / 8), hasName: temporaryName == nil))
    replica.state.withLock { $0.openStages += 1 }
  }

  deinit {
    // Best effort: a file without a content's name goes at the next start too.
    if let temporaryName, !state.withLock({ $0.hasName }) { replica.dropTemporary(temporaryName) }
    if state.withLock({ $0.isUnderWay }) { replica.endBlocks(of: content) }
    replica.state.withLock { $0.openStages -= 1 }
    replica.releaseIfIdle()
  }

  // MARK: Writing

  /// Writes bytes of a unit at an offset within the unit. Throws `.tooLarge` for bytes outside of it: a peer's length
  /// reaches no further than this; and `.exists` once the content, or the block, was verified.
  package func write(_ part: UnitID.Part, offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(DiskError) {
    guard part != .manifest, let range = layout.range(of: part),
      offset <= UInt64(range.count), UInt64(bytes.count) <= UInt64(range.count) - offset
    else { throw DiskError(.tooLarge, path: path, operation: "stage") }
    guard !state.withLock({ $0.isVerified(part) }) else {
      throw DiskError(.exists, path: path, operation: "stage")
    }
    noteUnderWay(part)
    try file.write(bytes, at: range.lowerBound + offset, path: path, calls: replica.calls)
    state.withLock { state in
      state.wasWritten = true
      switch part {
      case .whole: state.whole.take(bytes, at: offset)
      case .block(let index):
        state.markBlock(index, isVerified: false)
        if state.blocks[index] != nil || state.blocks.count < Self.runningBlocks {
          state.blocks[index, default: RunningHash()].take(bytes, at: offset)
        }
      case .manifest: break
      }
    }
  }

  package func write(_ part: UnitID.Part, offset: UInt64, _ bytes: [UInt8]) throws(DiskError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try write(part, offset: offset, UnsafeRawBufferPointer(copy))
  }

  /// Before the first byte: from then on until this value goes, no batch takes the file for the whole of anything. What is
  /// only read, to resume it, may be landed by a batch that is repeated.
  private func noteUnderWay(_ part: UnitID.Part) {
    guard case .block = part else { return }
    state.withLock { state in
      if !state.isUnderWay { replica.beginBlocks(of: content) }
      state.isUnderWay = true
    }
  }

  /// Writing and verifying a block as one piece of work: with several peers, each in its turn.
  package func exclusively<Value>(_ body: () throws -> Value) rethrows -> Value {
    try turn.withLock { _ in try body() }
  }

  // MARK: Whole units

  /// Whether the bytes are the content's; if so it can be landed, and served from the staging area. Bytes found
  /// again after a restart are read from the disk.
  package func finishWhole() throws(DiskError) -> Bool {
    precondition(layout.isWhole, "finishWhole is for contents of one unit")
    let (running, wasWritten) = state.withLock { ($0.whole, $0.wasWritten) }
    let isWhole: Bool
    if running.position == size, try file.status(path).stamp.size == size {
      isWhole = running.digest == content.digest
    } else {
      if !wasWritten { try settleOldBytes() }
      isWhole = try replica.isContent(content, file, size: size, path: path)
    }
    if isWhole, try takeName() { finish() }
    return isWhole
  }

  // MARK: Large contents

  /// Whether block `index` has the hash that the manifest gives it. A bad block may be written again.
  package func verifyBlock(_ index: UInt32, expected: Digest256) throws(DiskError) -> Bool {
    guard let range = layout.range(of: .block(index)) else {
      throw DiskError(.tooLarge, path: path, operation: "verify block")
    }
    let running = state.withLock { $0.blocks.removeValue(forKey: index) }
    let digest: Digest256
    if let running, running.position == UInt64(range.count) {
      digest = running.digest
    } else {
      digest = Digest256(hashing: try bytes(of: range))
    }
    guard digest == expected else { return false }
    state.withLock { $0.markBlock(index, isVerified: true) }
    try chase(limit: Self.chasedBlocks)
    return true
  }

  /// One bit a block that was verified, block 0 the lowest bit of byte 0.
  package var verifiedBlocks: [UInt8] { state.withLock { $0.verified } }

  /// Bytes within one block that was verified. Throws `.notFound` for those of any other.
  package func readVerified(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
    let index = UInt32(clamping: offset / UInt64(Limits.blockBytes))
    guard count >= 0, let range = layout.range(of: .block(index)), offset <= range.upperBound,
      UInt64(count) <= range.upperBound - offset,
      state.withLock({ $0.isVerified(.block(index)) })
    else { throw DiskError(.notFound, path: path, operation: "read a staged block") }
    return try file.bytes(at: offset, count: count, path: path)
  }

  /// Makes the verified blocks durable; only then may their bits be recorded. An error is final: discard the content.
  package func syncBlocks() throws(DiskError) {
    let outcome = replica.calls.fdatasync(file.descriptor)
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "fdatasync") }
  }

  /// Hashes the blocks that a record from before a restart claims, and returns those that are there.
  package func resume(manifest: Manifest, claimed: [UInt8]) throws(DiskError) -> [UInt8] {
    guard manifest.size == size else { throw DiskError(.changed, path: path, operation: "resume") }
    try settleOldBytes()
    for index in 0..<layout.blockCount where claimed.hasBit(index) {
      guard let range = layout.range(of: .block(UInt32(index))) else { continue }
      let isThere = Digest256(hashing: try bytes(of: range)) == manifest.blocks[index]
      state.withLock { $0.markBlock(UInt32(index), isVerified: isThere) }
    }
    return verifiedBlocks
  }

  /// The last check of a large content: all blocks verified, and the whole file's SHA-256 the content's. False with
  /// every block good means that the owner's manifest is not the content's.
  package func finishLarge(_ manifest: Manifest) throws(DiskError) -> Bool {
    try turn.withLock { _ throws(DiskError) in try finishInTurn(manifest) }
  }

  private func finishInTurn(_ manifest: Manifest) throws(DiskError) -> Bool {
    let isComplete = state.withLock { state in
      (0..<layout.blockCount).allSatisfy { state.verified.hasBit($0) }
    }
    guard manifest.size == size, isComplete else { return false }
    try chase(limit: .max)
    guard state.withLock({ $0.whole.position == size && $0.whole.digest == content.digest }) else {
      return false
    }
    finish()
    return true
  }

  /// Removes the staged bytes; those of a unit that was not verified go with this value.
  package func discard() throws(DiskError) {
    if state.withLock({ $0.hasName }) { try replica.discardStaged(content) }
  }

  // MARK: -

  private var path: [UInt8] { Replica.stagingPath + [UInt8(ascii: "/")] + content.hexDigits }

  /// Gives a verified unit the content's name. False when another peer's has it: these bytes are not needed.
  private func takeName() throws(DiskError) -> Bool {
    guard let temporaryName else { return true }
    guard try replica.nameStaged(temporaryName, content, path: path) else { return false }
    state.withLock { $0.hasName = true }
    return true
  }

  private func finish() {
    state.withLock { $0.isFinished = true }
    replica.keep(content, size: size, file: file, failedSyncfs: failedSyncfs)
  }

  /// Adds verified blocks that follow the hashed prefix to the whole hash, up to `limit` of them.
  private func chase(limit: Int) throws(DiskError) {
    var left = limit
    while left > 0 {
      let next: Range<UInt64>? = state.withLock { state in
        // At the end the position may lie inside the last block's slot: it is done, not next.
        guard state.whole.position < size else { return nil }
        let index = Int(state.whole.position / UInt64(Limits.blockBytes))
        guard state.verified.hasBit(index) else { return nil }
        return layout.range(of: .block(UInt32(index)))
      }
      guard let next else { return }
      let bytes = try bytes(of: next)
      guard bytes.count == next.count else { throw DiskError(.changed, path: path, operation: "verify") }
      state.withLock { state in
        guard state.whole.position == next.lowerBound else { return }
        bytes.withUnsafeBytes { state.whole.take($0, at: next.lowerBound) }
      }
      left -= 1
    }
  }

  private func bytes(of range: Range<UInt64>) throws(DiskError) -> [UInt8] {
    try file.bytes(at: range.lowerBound, count: range.count, path: path)
  }

  /// Bytes of an earlier process: flushed and out of the cache, so that what is hashed next is what the disk has.
  private func settleOldBytes() throws(DiskError) {
    let outcome = replica.calls.fsync(file.descriptor)
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "fsync") }
    file.dropCache()
  }
}

extension [UInt8] {
  /// Bit `index` of a bitmap, the lowest bit of byte 0 first; false beyond its end.
  package func hasBit(_ index: Int) -> Bool {
    index >> 3 < count && self[index >> 3] & (UInt8(1) << UInt8(index & 7)) != 0
  }
}

// MARK: - The staging area

extension Replica {
  /// A file for a content's bytes: a new one for one unit, for a large content the one that there is, or a new one whose
  /// space is reserved (`.noSpace`). Throws `.exists` for a large content that was verified: it may be on its way to its
  /// final name.
  package func stage(_ content: ContentID, size: UInt64) throws(DiskError) -> StagedContent {
    guard UnitLayout(size: size).isWhole else { return try restage(content, size: size) }
    let root = try mounted()
    syncer.watch(root)
    let name = nextTemporaryName()
    let file = try createTemporary(staging(root), name)
    return StagedContent(content: content, size: size, file: file, temporaryName: name, replica: self)
  }

  /// Opens the file that has a content's name in the staging area, or makes one. What an earlier process left there
  /// stays: check it with `finishWhole` or `resume`.
  package func restage(_ content: ContentID, size: UInt64) throws(DiskError) -> StagedContent {
    let path = Self.stagingPath + [UInt8(ascii: "/")] + content.hexDigits
    guard size <= Limits.contentBytes else { throw DiskError(.tooLarge, path: path, operation: "stage") }
    let root = try mounted()
    let staging = try staging(root)
    syncer.watch(root)
    if verified(content) != nil {
      guard (try? staging.entryStatus(content.hexDigits, path: path)) == nil else {
        throw DiskError(.exists, path: path, operation: "stage")
      }
      forget(content)
    }
    var file = try openStaged(staging, content, path: path)
    var status = try file.status(path)
    if status.linkCount > 1 {
      // A crash between link and unlink left a replica file under this name too: never write to that.
      try unlinkStaged(staging, content)
      file = try openStaged(staging, content, path: path)
      status = try file.status(path)
    }
    guard status.isRegular else { throw DiskError(.notRegular, path: path, operation: "stage") }
    let isWhole = UnitLayout(size: size).isWhole
    if isWhole ? status.stamp.size > size : status.stamp.size != size {
      try setSize(file, 0, path: path)
      if !isWhole { try allocate(file, size, path: path) }
    }
    return StagedContent(content: content, size: size, file: file, replica: self)
  }

  /// Whether this process has checked the staged bytes of a content, and they are there still.
  package func isVerified(_ content: ContentID) -> Bool { verified(content) != nil }

  /// Bytes of a content that this process has verified, and that is not landed yet; nil for any other.
  package func stagedSize(_ content: ContentID) -> UInt64? { verified(content)?.size }

  /// Bytes of a staged content, for serving what is verified and not landed yet.
  package func readStaged(_ content: ContentID, offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
    try FileReader.read(
      in: staging(mounted()), path: content.hexDigits, offset: offset, count: count, expecting: nil)
  }

  /// Removes what is staged of a content, if anything is; what is just being written stays.
  package func discardStaged(_ content: ContentID) throws(DiskError) {
    guard !isReserved(content) else { return }
    forget(content)
    try unlinkStaged(staging(mounted()), content)
  }

  /// Whether a file has exactly the content's bytes.
  func isContent(_ content: ContentID, _ file: OpenFile, size: UInt64, path: [UInt8]) throws(DiskError)
    -> Bool
  {
    do {
      return try ContentDigests(of: file, size: size, path: path, withBlocks: false).content == content
    } catch {
      if error.code == .changed { return false }
      throw error
    }
  }

  /// Gives a verified file in the staging area the name of its content; false if a verified one has it.
  func nameStaged(_ name: [UInt8], _ content: ContentID, path: [UInt8]) throws(DiskError) -> Bool {
    let outcome = nameStaged(try staging(mounted()), name, content)
    if outcome == -Int(EEXIST) { return false }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "stage") }
    return true
  }

  private func nameStaged(_ staging: Directory, _ name: [UInt8], _ content: ContentID) -> Int {
    let newName = content.hexDigits
    let outcome = calls.renameWithoutReplacing(staging, name, staging, newName)
    guard outcome == -Int(EEXIST), verified(content) == nil else { return outcome }
    // Left by an earlier process, and not vouched for by this one.
    return calls.replace(staging.descriptor, name, staging.descriptor, newName)
  }

  private func createTemporary(_ staging: Directory, _ name: [UInt8]) throws(DiskError) -> OpenFile {
    let made = calls.create(staging.descriptor, name, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard made >= 0 else { throw DiskError(call: made, path: name, operation: "stage") }
    return OpenFile(Int32(made))
  }

  /// Best effort: what stays goes at the next start.
  func dropTemporary(_ name: [UInt8]) {
    if let staging = try? staging(mounted()) { dropTemporary(staging, name) }
  }

  private func dropTemporary(_ staging: Directory, _ name: [UInt8]) {
    _ = calls.unlink(staging.descriptor, name, false)
  }

  private func openStaged(_ staging: Directory, _ content: ContentID, path: [UInt8]) throws(DiskError)
    -> OpenFile
  {
    let name = content.hexDigits
    var opened = calls.create(staging.descriptor, name, O_RDWR | O_CREAT, 0o600)
    if opened == -Int(EACCES) {
      // A batch that was cut off had made it read-only already.
      _ = result { withName(name) { fchmodat(staging.descriptor, $0, 0o600, 0) } }
      opened = calls.create(staging.descriptor, name, O_RDWR | O_CREAT, 0o600)
    }
    guard opened >= 0 else { throw DiskError(call: opened, path: path, operation: "stage") }
    return OpenFile(Int32(opened))
  }

  private func unlinkStaged(_ staging: Directory, _ content: ContentID) throws(DiskError) {
    let outcome = calls.unlink(staging.descriptor, content.hexDigits, false)
    guard outcome >= 0 || outcome == -Int(ENOENT) else {
      throw DiskError(call: outcome, path: Self.stagingPath, operation: "discard")
    }
  }

  private func setSize(_ file: OpenFile, _ size: UInt64, path: [UInt8]) throws(DiskError) {
    let outcome = result { ftruncate(file.descriptor, off_t(size)) }
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "stage") }
  }

  private func allocate(_ file: OpenFile, _ size: UInt64, path: [UInt8]) throws(DiskError) {
    let outcome = calls.allocate(file.descriptor, size)
    if outcome == -Int(EOPNOTSUPP) || outcome == -Int(ENOSYS) {
      // No reserving here: the size alone, and a full disk shows when it is written.
      try setSize(file, size, path: path)
    } else if outcome < 0 {
      // Filesystems keep what they could reserve: on a full disk that is all that was left of it.
      try setSize(file, 0, path: path)
      throw DiskError(call: outcome, path: path, operation: "reserve space")
    }
  }
}
