import MantelCore
import MantelSummary

/// What is in a file: a few bytes, and for a large file a size that nobody has to store. Its blocks follow from both.
struct Payload: Hashable {
  let bytes: [UInt8]
  let size: UInt64
  let content: ContentID

  init(_ bytes: [UInt8], size: UInt64? = nil) {
    self.bytes = bytes
    self.size = size ?? UInt64(bytes.count)
    content = ContentID(SummaryHash.sha256(bytes + Array("\(self.size)".utf8)))
  }

  var layout: UnitLayout { UnitLayout(size: size) }

  /// Nil for a content that is one unit.
  var manifest: Manifest? {
    guard !layout.isWhole else { return nil }
    let blocks = (0..<layout.blockCount).map { SummaryHash.sha256(bytes + Array("/\($0)".utf8)) }
    return Manifest(size: size, blocks: blocks)
  }

  var manifestHash: Digest256? { manifest.map { SummaryHash.sha256($0.hashedBytes) } }
}

/// A file in a simulated folder or replica.
struct SimulatedFile: Equatable {
  var payload: Payload
  var mtime: Int64
  var inode: UInt64
  /// What the file had before the disk changed it, unseen by `stat`.
  var sound: Payload?
  /// Own files: the agent has synced it since it was written.
  var isSynced = false

  mutating func rot() {
    guard sound == nil else { return }
    sound = payload
    payload = Payload(payload.bytes + Array("rot".utf8), size: payload.size)
  }

  var bytes: [UInt8] { payload.bytes }
  var content: ContentID { payload.content }
  var stamp: FileStamp {
    FileStamp(size: payload.size, mtime: mtime, ctime: mtime, inode: inode, device: 1)
  }
}

/// Bytes in the staging area: a whole content, or some blocks of a large one.
struct StagedFile: Equatable {
  var payload: Payload
  /// Nil when all of it is there and verified.
  var blocks: Set<UInt32>?
}
