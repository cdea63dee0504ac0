import Crypto
import MantelCore

/// What a machine publishes in mDNS (TXT `h`) so that members of its household recognise it and nobody else can
/// follow it: 8 bytes of HMAC-SHA256(key, "h" || instance name), as 16 hexadecimal digits.
package enum DiscoveryTag {
  package static let keyBytes = 32

  package static func tag(key: [UInt8], instanceName: String) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let mac = HMAC<SHA256>.authenticationCode(
      for: Array("h".utf8) + Array(instanceName.utf8), using: SymmetricKey(data: key))
    return String(
      decoding: mac.prefix(8).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
      as: UTF8.self)
  }

  package static func matches(_ tag: String, key: [UInt8], instanceName: String) -> Bool {
    tag.lowercased() == self.tag(key: key, instanceName: instanceName)
  }
}

extension Roster {
  /// The household's key for `DiscoveryTag`: SHA-256("mantel/discovery/1", zero byte, the genesis' random bytes, the ids
  /// of the effective removals ascending). Members compute it; the random bytes never leave them, and a
  /// removal changes it. Empty-handed (no household) it is all zero.
  package var discoveryKey: [UInt8] {
    guard case .genesis(let random, _, _, _) = graph.genesis?.statement.body else {
      return [UInt8](repeating: 0, count: DiscoveryTag.keyBytes)
    }
    var bytes = Array("mantel/discovery/1".utf8) + [0] + random
    for id in standing.effectiveRemovals.map({ graph.nodes[$0].signed.id }).sorted() {
      id.digest.append(to: &bytes)
    }
    return Digest256(hashing: bytes).bytes
  }
}
