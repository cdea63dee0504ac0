import CMantelSystem
import Glibc
import MantelCore
import Synchronization

/// What a filesystem is, told apart from others across mounts, reboots and device numbers.
package enum FilesystemFacts {
  /// Bytes that name the filesystem below `path` for good: `u` and its UUID where it can be had, else `f`, its type
  /// and the kernel's filesystem id (best effort: tmpfs, overlay, ZFS). Empty if there is neither.
  package static func identity(of path: [UInt8]) throws(DiskError) -> [UInt8] {
    try identity(of: Directory(root: path).file, path: path)
  }

  /// The same of a directory below a root, reached without following a symlink.
  package static func identity(of path: [UInt8], below root: [UInt8]) throws(DiskError) -> [UInt8] {
    let top = try Directory(root: root)
    return try identity(of: path.isEmpty ? top.file : top.directory(path).file, path: path)
  }

  /// False where bytes may live on another machine or behind another program (NFS, SMB, FUSE, ...): an fsync there
  /// proves nothing.
  package static func isLocal(_ path: [UInt8]) throws(DiskError) -> Bool {
    isLocal(type: try facts(of: Directory(root: path).file, path: path).type)
  }

  /// Bytes that may still be written by this user, and all bytes.
  package static func space(of path: [UInt8]) throws(DiskError) -> (free: UInt64, total: UInt64) {
    let facts = try facts(of: Directory(root: path).file, path: path)
    return (facts.free_bytes, facts.total_bytes)
  }

  static func facts(of file: OpenFile, path: [UInt8]) throws(DiskError) -> mantel_filesystem {
    var facts = mantel_filesystem()
    let outcome = Int(mantel_statfs(file.descriptor, &facts))
    guard outcome >= 0 else { throw DiskError(call: outcome, path: path, operation: "statfs") }
    return facts
  }

  static func isLocal(_ file: OpenFile) -> Bool { traits(of: file).isLocal }

  /// What is asked about an open file's filesystem once for many files.
  static func traits(of file: OpenFile) -> (isLocal: Bool, tellsChanges: Bool) {
    guard let facts = try? facts(of: file, path: []) else { return (false, false) }
    return (isLocal(type: facts.type), changeTellingTypes.contains(facts.type))
  }

  /// Filesystems whose time of change is the kernel's alone. Others may show there what a user set (FAT: it is the time of
  /// modification).
  private static let changeTellingTypes: Set<UInt64> = [
    0xEF53,  // ext2, ext3, ext4
    0x5846_5342,  // XFS
    0x9123_683E,  // Btrfs
    0xF2F5_2010,  // F2FS
  ]

  static func isLocal(type: UInt64) -> Bool { !remoteTypes.contains(type) }

  /// Whether a replica may lie in a directory: 1 or 0, or a negated errno.
  static func isOnLocalDisk(_ descriptor: Int32) -> Int {
    var facts = mantel_filesystem()
    let told = Int(mantel_statfs(descriptor, &facts))
    guard told >= 0 else { return told }
    var raw = stat()
    let looked = result { fstat(descriptor, &raw) }
    guard looked >= 0 else { return looked }
    return isOnLocalDisk(type: facts.type, device: UInt64(raw.st_dev)) ? 1 : 0
  }

  /// A program may provide a filesystem on a disk of this machine too (ntfs-3g, exfat-fuse): that has the disk's device
  /// number, whereas the others under FUSE have one of no device, whose major number is 0.
  static func isOnLocalDisk(type: UInt64, device: UInt64) -> Bool {
    let major = (device >> 8 & 0xFFF) | (device >> 32 & 0xFFFF_F000)
    return isLocal(type: type) || type == fuseType && major != 0
  }

  static func identity(of file: OpenFile, path: [UInt8]) throws(DiskError) -> [UInt8] {
    var raw = [UInt8](repeating: 0, count: 16)
    let count = Int(
      raw.withUnsafeMutableBufferPointer { mantel_filesystem_uuid(file.descriptor, $0.baseAddress) })
    if count > 0 { return [UInt8(ascii: "u")] + normalised(Array(raw.prefix(count))) }
    let facts = try facts(of: file, path: path)
    let device = try file.status(path).stamp.device
    if let uuid = deviceUUIDs.uuid(of: device, fsid: facts.fsid) { return [UInt8(ascii: "u")] + uuid }
    guard facts.fsid != 0 else { return [] }
    var writer = CanonicalWriter()
    writer.write(UInt8(ascii: "f"))
    writer.write(facts.type)
    writer.write(facts.fsid)
    return writer.bytes
  }

  /// The kernel says a FAT volume id little-endian, udev prints it big-endian: both must name the same disk.
  private static func normalised(_ uuid: [UInt8]) -> [UInt8] { uuid.count == 4 ? uuid.reversed() : uuid }

  private static let fuseType: UInt64 = 0x6573_5546

  /// `statfs` magic numbers of filesystems that are not a local disk's.
  private static let remoteTypes: Set<UInt64> = [
    0x6969,  // NFS
    0x517B,  // SMB
    0xFF53_4D42,  // CIFS
    0xFE53_4D42,  // SMB2
    fuseType,
    0x0102_1997,  // 9P
    0x00C3_6400,  // Ceph
    0x5346_414F, 0x6B41_4653,  // AFS
    0x7375_7245,  // Coda
    0x564C,  // NCP
    0x0116_1970,  // GFS2
    0x7461_636F,  // OCFS2
    0x0BD0_0BD0,  // Lustre
    0x786F_4256,  // VirtualBox shared folders
    0xBACB_ACBC,  // VMware shared folders
  ]

  private static let deviceUUIDs = DeviceUUIDs()
}

/// UUIDs by device number, from udev's links; for kernels and filesystems that do not tell it themselves.
final class DeviceUUIDs: Sendable {
  private struct Key: Hashable {
    var device: UInt64
    var fsid: UInt64
  }
  private static let limit = 64
  private let known = Mutex<[Key: [UInt8]?]>([:])
  private let find: @Sendable (UInt64) -> [UInt8]?

  init(find: @escaping @Sendable (UInt64) -> [UInt8]? = { DeviceUUIDs.lookUp($0) }) { self.find = find }

  func uuid(of device: UInt64, fsid: UInt64) -> [UInt8]? {
    // The link may come later, and another disk may get the number: without the kernel's id nothing tells.
    guard fsid != 0 else { return find(device) }
    let key = Key(device: device, fsid: fsid)
    if let cached = known.withLock({ $0[key] }) { return cached }
    let found = find(device)
    known.withLock {
      if $0.count >= Self.limit { $0.removeAll() }
      $0[key] = .some(found)
    }
    return found
  }

  static func lookUp(_ device: UInt64) -> [UInt8]? {
    // Without udev (containers) there is no such directory: then there is no UUID to be had.
    guard let links = try? Directory(root: Array("/dev/disk/by-uuid".utf8)) else { return nil }
    var found: [UInt8]?
    try? links.forEachEntry { name, _ in
      var raw = stat()
      guard result({ withName(name) { fstatat(links.descriptor, $0, &raw, 0) } }) >= 0 else { return }
      if UInt64(raw.st_rdev) == device, let uuid = bytes(ofHex: name) { found = uuid }
    }
    return found
  }

  private static func bytes(ofHex text: [UInt8]) -> [UInt8]? {
    let digits = text.filter { $0 != UInt8(ascii: "-") }
    guard digits.count.isMultiple(of: 2), !digits.isEmpty else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: digits.count, by: 2) {
      let pair = String(decoding: digits[start...start + 1], as: UTF8.self)
      guard let byte = UInt8(pair, radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}
