/// The rules of RFC 6763, section 6, for the key-value strings of a TXT record.
enum TXTRecord {
  /// Reads what a stranger published. Strings without a usable key, values that are not UTF-8, and all beyond the
  /// limits are left out; of equal keys the first counts.
  static func parse(_ strings: [[UInt8]]) -> [String: String] {
    var result: [String: String] = [:]
    var bytes = 0
    for string in strings.prefix(DiscoveryLimits.txtStrings) {
      bytes += string.count + 1
      guard bytes <= DiscoveryLimits.txtBytes else { break }
      let end = string.firstIndex(of: UInt8(ascii: "=")) ?? string.endIndex
      let rawKey = string[..<end]
      guard !rawKey.isEmpty, rawKey.allSatisfy({ (0x20...0x7E).contains($0) }),
        let value = String(validating: string[end...].dropFirst(), as: UTF8.self)
      else { continue }
      let key = String(decoding: rawKey, as: UTF8.self).lowercased()
      if result[key] == nil { result[key] = value }
    }
    return result
  }

  /// The strings to publish: `txtvers` first (RFC 6763, 6.7), the others by key.
  static func strings(of record: [String: String]) -> [[UInt8]] {
    record.sorted { left, right in
      let (leftIsVersion, rightIsVersion) = (left.key == "txtvers", right.key == "txtvers")
      return leftIsVersion != rightIsVersion ? leftIsVersion : left.key < right.key
    }.map { Array("\($0.key)=\($0.value)".utf8) }
  }

  static func isPublishable(_ record: [String: String]) -> Bool {
    let lengths = strings(of: record).map(\.count)
    return record.keys.allSatisfy { key in
      !key.isEmpty && key.utf8.count <= DiscoveryLimits.txtKeyBytes
        && key.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "=") }
    }
      && lengths.allSatisfy { $0 <= DiscoveryLimits.txtStringBytes }
      && lengths.reduce(0) { $0 + $1 + 1 } <= DiscoveryLimits.publishedTXTBytes
  }
}
