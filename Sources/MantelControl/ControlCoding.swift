package import Foundation

/// How answers become JSON, everywhere the same: keys sorted, slashes plain, an absent value left out.
package enum ControlCoding {
  package enum Style: Sendable {
    /// One line, for the wire and for listings of one object a line.
    case line
    /// Indented, for people who read `--json`.
    case pretty
  }

  package static func data(_ value: some Encodable, _ style: Style = .line) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if style == .pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    return try encoder.encode(value)
  }

  package static func value<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
    try JSONDecoder().decode(type, from: data)
  }
}
