import MantelCore

/// Bytes that are not believed to be on the disk because somebody has seen or written them: the disk is asked.
extension FilingBatch {
  /// Whether the disk, not the cache, has the content's bytes in a file whose history is not known. Syncs it.
  func isOnDisk(_ content: ContentID, _ file: OpenFile, size: UInt64) throws(Stop) -> Bool {
    try sync(file)
    file.dropCache()
    return try disk { () throws(DiskError) in try replica.isContent(content, file, size: size, path: []) }
  }

  /// The same; nil when the disk does not give the bytes back, though the replica is there. One bad sector neither stops
  /// what belongs under the file's name, nor is a reason to repeat for ever: it is judged by whoever reads the file again.
  func isOnDiskNow(_ content: ContentID, _ file: OpenFile, size: UInt64) throws(Stop) -> Bool? {
    do throws(Stop) {
      return try isOnDisk(content, file, size: size)
    } catch {
      guard case .disk(let failure) = error, failure.code == .io else { throw error }
      try disk { () throws(DiskError) in try replica.checkMounted() }
      return nil
    }
  }

  /// Of staged bytes that were verified before a syncfs failed: its error may have been theirs, and is not told again. What the
  /// disk has lost of them is fetched anew, and fails nobody else: the batch of that syncfs has failed for it.
  func expectOnDisk(_ content: ContentID, _ file: OpenFile, size: UInt64) throws(Stop) {
    let isThere: Bool
    do throws(Stop) {
      isThere = try isOnDiskNow(content, file, size: size) ?? false
    } catch {
      guard case .sync = error else { throw error }
      isThere = false
    }
    guard !isThere else { return }
    // The name first: as long as the content counts as verified, nobody writes new bytes under it.
    dropStaged(content.hexDigits)
    replica.forget(content)
    throw .sourceChanged
  }
}
