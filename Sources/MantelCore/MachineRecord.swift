/// What a machine owes; see `MachineRecord`.
package enum Role: UInt8, Sendable, CaseIterable {
  /// Owes every other library, and its own live photos.
  case full = 0
  /// Owes its own live photos only.
  case source = 1
}

/// A host (name, or address text) and a TCP port.
package struct NetworkAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// An IPv4 or IPv6 address as text, without brackets, or a host name.
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Takes `host:port`, `[v6]:port`; nil for anything else.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"),
      let port = UInt16(text[text.index(after: colon)...]), port > 0
    else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, host.utf8.count <= Limits.hostBytes, !host.contains(where: \.isWhitespace)
    else { return nil }
    self.init(host: host, port: port)
  }

  package static func < (left: Self, right: Self) -> Bool {
    (left.host, left.port) < (right.host, right.port)
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A folder's id and the name that its replicas carry.
package struct FolderName: Hashable, Sendable {
  package var id: FolderID
  package var name: String

  package init(id: FolderID, name: String) {
    self.id = id
    self.name = name
  }
}

/// What a machine says of itself, signed by it; the higher number wins.
///
/// Canonical bytes: version u8 = 1 | machine 32 | number u64 | name u16+UTF-8 | role u8 | program u16+UTF-8 |
/// address count u8, each host u16+UTF-8 and port u16 | folder count u16, each id 16 and name u16+UTF-8.
/// Signed for `mantel/machine/1`.
package struct MachineRecord: Hashable, Sendable {
  package var machine: MachineID
  /// Grows with every change.
  package var number: UInt64
  package var name: String
  package var role: Role
  /// Name and version of the program, for people.
  package var program: String
  /// Where it listens, as it sees itself.
  package var addresses: [NetworkAddress]
  package var folders: [FolderName]

  package init(
    machine: MachineID, number: UInt64, name: String, role: Role, program: String,
    addresses: [NetworkAddress], folders: [FolderName]
  ) {
    self.machine = machine
    self.number = number
    self.name = name
    self.role = role
    self.program = program
    self.addresses = addresses
    self.folders = folders
  }
}

extension MachineRecord: SignableRecord {
  package static let version: UInt8 = 1
  package static let maximumBytes = 60 << 10
  package static let purpose = "mantel/machine/1"
  package var signer: MachineID { machine }

  package func encode(to writer: inout CanonicalWriter) {
    writer.write(Self.version)
    writer.write(machine)
    writer.write(number)
    writer.write(text: name)
    writer.write(role.rawValue)
    writer.write(text: program)
    writer.write(UInt8(addresses.count))
    for address in addresses {
      writer.write(text: address.host)
      writer.write(address.port)
    }
    writer.write(UInt16(folders.count))
    for folder in folders {
      writer.write(folder.id)
      writer.write(text: folder.name)
    }
  }

  package init(from reader: inout CanonicalReader) throws(RecordError) {
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.version else { throw .unsupportedVersion(version) }
    machine = try reader.readIdentifier()
    number = try reader.readInteger()
    name = try reader.readText(limit: Limits.nameBytes, field: "name")
    guard let role = Role(rawValue: try reader.readInteger()) else { throw .invalid(field: "role") }
    self.role = role
    program = try reader.readText(limit: Limits.nameBytes, field: "program")
    let addressCount = Int(try reader.readInteger(UInt8.self))
    guard addressCount <= Limits.addresses else { throw .overLimit(field: "addresses") }
    addresses = []
    for _ in 0..<addressCount {
      let host = try reader.readText(limit: Limits.hostBytes, field: "host")
      addresses.append(NetworkAddress(host: host, port: try reader.readInteger()))
    }
    let folderCount = Int(try reader.readInteger(UInt16.self))
    guard folderCount <= Limits.folders else { throw .overLimit(field: "folders") }
    folders = []
    for _ in 0..<folderCount {
      let id = try reader.readFolderID()
      folders.append(
        FolderName(id: id, name: try reader.readText(limit: Limits.nameBytes, field: "folder")))
    }
  }
}
