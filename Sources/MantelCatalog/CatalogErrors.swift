internal import GRDB
package import MantelCore

/// Why a catalog could not be opened. The file is left as it is.
package enum CatalogOpenError: Error, Sendable, CustomStringConvertible {
  /// Not a database, or a damaged one: it must be rebuilt from the folders, the replica and the peers.
  case corrupt(String)
  /// A sound database of some other program.
  case notACatalog
  /// Written by a newer Mantel; this one would not understand it. The names are its unknown migrations.
  case newerSchema([String])
  case failed(StoreError)

  package var description: String {
    switch self {
    case .corrupt(let message): "the catalog is damaged: \(message)"
    case .notACatalog: "the file is a database, but not a catalog of Mantel"
    case .newerSchema(let names):
      "the catalog was written by a newer version of Mantel (\(names.joined(separator: ", ")))"
    case .failed(let error): "the catalog cannot be opened: \(error.message)"
    }
  }

  /// What an error at opening means.
  init(_ error: any Error) {
    if let error = error as? CatalogOpenError {
      self = error
      return
    }
    let mapped = StoreError(mapping: error)
    self = mapped.code == .corrupt ? .corrupt(mapped.message) : .failed(mapped)
  }
}

extension StoreError {
  /// A stored value that the schema forbids.
  static func damaged(_ expected: StaticString) -> StoreError {
    StoreError(code: .corrupt, message: "the catalog holds something else where \(expected) belongs")
  }

  static func refused(_ message: String) -> StoreError {
    StoreError(code: .constraint, message: message)
  }

  /// What an error from SQLite, or from decoding what it gave, means. Statements and their values stay out of the
  /// message: they hold file names.
  init(mapping error: any Error) {
    switch error {
    case let error as StoreError:
      self = error
    case let error as MantelCore.RecordError:
      self.init(code: .corrupt, message: "the catalog holds a record that cannot be read: \(error)")
    case let error as DatabaseError:
      let code: StoreError.Code
      switch error.resultCode {
      case .SQLITE_FULL: code = .diskFull
      case .SQLITE_CORRUPT, .SQLITE_NOTADB: code = .corrupt
      case .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH: code = .io
      case .SQLITE_CONSTRAINT, .SQLITE_MISMATCH: code = .constraint
      default: code = .other
      }
      let text = error.message ?? "no message"
      self.init(
        code: code, message: "SQLite error \(error.extendedResultCode.rawValue): \(text)")
    default:
      self.init(code: .other, message: String(describing: error))
    }
  }
}
