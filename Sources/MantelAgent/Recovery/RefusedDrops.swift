import MantelCore

/// Contents whose drops the user of this machine refused, as they are kept beside the copies: with the catalog alone "kept
/// for good" would end.
///
/// Canonical bytes: version u8 = 1 | count u32 | content 32 each, ascending.
struct RefusedDrops: Hashable, Sendable {
  /// Those of 16 MB; of more, the lowest are kept.
  static let limit = 500_000
  private static let version: UInt8 = 1

  private(set) var contents: [ContentID]

  /// Ascending.
  init(_ contents: [ContentID]) { self.contents = Array(contents.prefix(Self.limit)) }

  var bytes: [UInt8] {
    var writer = CanonicalWriter()
    writer.write(Self.version)
    writer.write(UInt32(contents.count))
    for content in contents { writer.write(content) }
    return writer.bytes
  }

  /// Refuses what is cut off, damaged, or of a later version.
  init(bytes: [UInt8]) throws(RecordError) {
    var reader = CanonicalReader(bytes)
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    let count = Int(try reader.readInteger(UInt32.self))
    guard count <= Self.limit else { throw .overLimit(field: "refused drops") }
    contents = []
    for _ in 0..<count {
      let content: ContentID = try reader.readIdentifier()
      guard contents.last.map({ $0 < content }) ?? true else { throw .invalid(field: "refused drops") }
      contents.append(content)
    }
    try reader.finish()
  }
}
