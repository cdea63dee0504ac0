import CMantelSystem
import Crypto
import Glibc
package import MantelCore

/// The staging area, open for many small contents in a row, each of which is here as a whole.
///
/// The bytes are judged before a file is made of them, so that a file has the content's name from the start, and is never
/// renamed. What a crash leaves of it is known by its hash, as everything that lies there. Calls block.
package struct StagingArea {
  private let replica: Replica
  private let root: Directory
  private let directory: Directory

  init(_ replica: Replica) throws(DiskError) {
    self.replica = replica
    root = try replica.mounted()
    directory = try replica.staging(root)
    replica.syncer.watch(root)
  }

  /// Keeps a content of one unit, not yet durably; false when these are not its bytes. Throws `.busy` while another thread
  /// writes the same content, whose bytes are not there yet; `.noSpace` and the like.
  package func stage(_ content: ContentID, _ bytes: UnsafeRawBufferPointer) throws(DiskError) -> Bool {
    guard ContentID(Digest256(hashing: bytes)) == content else { return false }
    let name = content.hexDigits
    let path = Replica.stagingPath + [UInt8(ascii: "/")] + name
    switch replica.reserve(content) {
    case .reserved: break
    case .isBeingWritten: throw DiskError(.busy, path: path, operation: "stage")
    case .isVerified:
      // Another peer's bytes are there; unless somebody took the file away.
      if (try? directory.entryStatus(name, path: path)) != nil { return true }
      replica.forget(content)
      guard replica.reserve(content) == .reserved else {
        throw DiskError(.busy, path: path, operation: "stage")
      }
    }
    defer { replica.release(content) }
    // A batch that ended since the area was opened may have let it go.
    replica.syncer.watch(root)
    let failedSyncfs = replica.syncer.failedSyncfs
    let file = try create(name, path: path)
    do throws(DiskError) {
      try file.write(bytes, at: 0, path: path, calls: replica.calls)
    } catch {
      _ = replica.calls.unlink(directory.descriptor, name, false)
      throw error
    }
    replica.keep(content, size: UInt64(bytes.count), file: file, failedSyncfs: failedSyncfs)
    return true
  }

  /// A new file with the mode of a replica file. What has its name was left by an earlier process, and nobody vouches for it.
  private func create(_ name: [UInt8], path: [UInt8]) throws(DiskError) -> OpenFile {
    let flags = O_RDWR | O_CREAT | O_EXCL
    var made = replica.calls.create(directory.descriptor, name, flags, FilingBatch.fileMode)
    if made == -Int(EEXIST) {
      _ = replica.calls.unlink(directory.descriptor, name, false)
      made = replica.calls.create(directory.descriptor, name, flags, FilingBatch.fileMode)
    }
    guard made >= 0 else { throw DiskError(call: made, path: path, operation: "stage") }
    return OpenFile(Int32(made))
  }
}

extension Replica {
  package func openStaging() throws(DiskError) -> StagingArea { try StagingArea(self) }

  /// Contents that lie in the staging area, with the length of their files, ascending. One that cannot be looked at is told and
  /// left out; one that a batch has landed meanwhile is just not there.
  package func stagedContents(
    onFailure: (DiskError) -> Void = { _ in }
  ) throws(DiskError) -> [(ContentID, UInt64)] {
    let staging = try staging(mounted())
    var contents: [ContentID] = []
    try staging.forEachEntry { name, _ in
      if let content = ContentID(hex: String(decoding: name, as: UTF8.self)) { contents.append(content) }
    }
    contents.sort()
    return Self.lengths(of: contents, onFailure: onFailure) { content throws(DiskError) in
      try staging.entryStatus(content.hexDigits, path: Self.stagingPath).stamp.size
    }
  }

  static func lengths(
    of contents: [ContentID], onFailure: (DiskError) -> Void,
    length: (ContentID) throws(DiskError) -> UInt64
  ) -> [(ContentID, UInt64)] {
    var found: [(ContentID, UInt64)] = []
    for content in contents {
      do throws(DiskError) {
        found.append((content, try length(content)))
      } catch {
        if error.code != .notFound { onFailure(error) }
      }
    }
    return found
  }

  enum Reservation {
    /// The content's name in the staging area is the caller's to write.
    case reserved
    /// Verified bytes have it.
    case isVerified
    /// Another thread writes to it: nobody else may judge it, or take it away.
    case isBeingWritten
  }

  func reserve(_ content: ContentID) -> Reservation {
    state.withLock {
      if $0.verified[content] != nil { return .isVerified }
      return $0.reserved.insert(content).inserted ? .reserved : .isBeingWritten
    }
  }

  func isReserved(_ content: ContentID) -> Bool { state.withLock { $0.reserved.contains(content) } }

  func beginBlocks(of content: ContentID) {
    state.withLock { $0.blocksUnderWay[content, default: 0] += 1 }
  }

  func endBlocks(of content: ContentID) {
    state.withLock {
      let count = $0.blocksUnderWay[content, default: 0]
      $0.blocksUnderWay[content] = count > 1 ? count - 1 : nil
    }
  }

  /// Whether what has the content's name in the staging area may be half of it, with the rest on its way.
  func isBeingWritten(_ content: ContentID) -> Bool {
    state.withLock { $0.reserved.contains(content) || $0.blocksUnderWay[content] != nil }
  }

  func release(_ content: ContentID) { state.withLock { _ = $0.reserved.remove(content) } }
}

extension Digest256 {
  init(hashing bytes: UnsafeRawBufferPointer) {
    var hasher = SHA256()
    hasher.update(bufferPointer: bytes)
    self.init(hasher.finalize())
  }
}
