package import MantelCore

/// What `<replica>/.mantel/marker` says: that this directory is a replica, whose, and where it lies. A root without
/// it is an empty mount point, never an empty replica.
///
/// Text, so that a person who finds it understands it: a title line, then `machine`, `filesystem` and `generation`,
/// each with hexadecimal digits.
package struct ReplicaMarker: Hashable, Sendable {
  package var machine: MachineID
  /// `FilesystemFacts.identity` of the root when the marker was written.
  package var filesystem: [UInt8]
  /// Random; tells this replica from an earlier one of the same machine in the same place.
  package var generation: UInt64

  private static let title = "Mantel replica 1"
  static let maximumBytes = 4 << 10

  package init(machine: MachineID, filesystem: [UInt8], generation: UInt64) {
    self.machine = machine
    self.filesystem = filesystem
    self.generation = generation
  }

  package var bytes: [UInt8] {
    let identity = filesystem.map { Self.padded(String($0, radix: 16), to: 2) }.joined()
    let number = Self.padded(String(generation, radix: 16), to: 16)
    return Array("\(Self.title)\nmachine \(machine.hex)\nfilesystem \(identity)\ngeneration \(number)\n".utf8)
  }

  /// Nil for anything that this version did not write.
  package init?(bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 4, lines[0] == Self.title,
      let machine = Self.value(lines[1], "machine").flatMap({ MachineID(hex: String($0)) }),
      let identity = Self.value(lines[2], "filesystem").flatMap(Self.bytes(ofHex:)),
      let generation = Self.value(lines[3], "generation").flatMap({ UInt64($0, radix: 16) })
    else { return nil }
    self.init(machine: machine, filesystem: identity, generation: generation)
  }

  private static func padded(_ digits: String, to width: Int) -> String {
    String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private static func value(_ line: Substring, _ key: String) -> Substring? {
    line.hasPrefix(key + " ") ? line.dropFirst(key.count + 1) : nil
  }

  private static func bytes(ofHex text: Substring) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[start...start + 1], as: UTF8.self), radix: 16) else {
        return nil
      }
      bytes.append(byte)
    }
    return bytes
  }
}
