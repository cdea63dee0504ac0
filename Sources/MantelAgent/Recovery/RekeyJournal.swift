import Glibc
import MantelCore
import MantelHousehold

/// A rekey whose new key is about to be a member's: what completes it after a crash. A file in the state directory, there
/// from before the acceptance is sent until all is done.
///
/// Canonical bytes: version u8 = 1 | former machine 32 | machine 32 | name u16+UTF-8 | where the former key is to lie
/// u16+UTF-8 | statement count u32, each u16+bytes.
struct RekeyJournal: Hashable, Sendable {
  var former: MachineID
  var machine: MachineID
  var name: String
  var formerKey: String
  /// The household's, with the new machine's acceptance.
  var statements: [SignedStatement]

  private static let version: UInt8 = 1

  // MARK: The file

  /// Nil when there is none.
  static func read(_ home: Home) throws -> RekeyJournal? {
    let descriptor = open(home.rekeyJournalPath, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw failure("open", home)
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = piece.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("read", home) }
      if count == 0 { break }
      bytes += piece[..<count]
      guard bytes.count <= maximumBytes else { throw RecordError.overLimit(field: "rekey journal") }
    }
    do { return try RekeyJournal(bytes: bytes) } catch {
      throw AgentError(.internalError, "\(home.rekeyJournalPath) cannot be read: \(error)")
    }
  }

  /// Durable when this returns, and never there in part.
  func write(_ home: Home) throws {
    let temporary = home.rekeyJournalPath + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw Self.failure("create", home) }
    do {
      defer { close(descriptor) }
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw Self.failure("write", home) }
        rest = rest.dropFirst(count)
      }
      guard fsync(descriptor) == 0 else { throw Self.failure("fsync", home) }
    }
    guard rename(temporary, home.rekeyJournalPath) == 0 else { throw Self.failure("rename", home) }
    try CatalogDraft.sync(home.state)
  }

  /// One that comes back after a power cut is completed again, which changes nothing.
  static func remove(_ home: Home) { unlink(home.rekeyJournalPath) }

  private static func failure(_ operation: String, _ home: Home) -> AgentError {
    AgentError(
      .internalError, "\(operation) \(home.rekeyJournalPath): \(String(cString: strerror(errno)))")
  }

  // MARK: Bytes

  private static var maximumBytes: Int { Limits.statements * (2 + Limits.statementBytes) + (256 << 10) }

  var bytes: [UInt8] {
    var writer = CanonicalWriter()
    writer.write(Self.version)
    writer.write(former)
    writer.write(machine)
    writer.write(text: name)
    writer.write(text: formerKey)
    writer.write(UInt32(statements.count))
    writer.write(statements)
    return writer.bytes
  }

  /// Refuses what is cut off, damaged, or of a later version.
  init(bytes: [UInt8]) throws(RecordError) {
    var reader = CanonicalReader(bytes)
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    former = try reader.readIdentifier()
    machine = try reader.readIdentifier()
    name = try reader.readText(limit: Limits.nameBytes, field: "name")
    formerKey = try reader.readText(limit: Limits.pathBytes, field: "former key")
    statements = try reader.readStatements(Int(try reader.readInteger(UInt32.self)))
    try reader.finish()
  }

  init(former: MachineID, machine: MachineID, name: String, formerKey: String, statements: [SignedStatement])
  {
    self.former = former
    self.machine = machine
    self.name = name
    self.formerKey = formerKey
    self.statements = statements
  }
}
