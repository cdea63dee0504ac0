import Foundation

/// What `mantel status --json` says. Written down here a second time on purpose: scripts rely on these keys.
package struct StatusJSON: Decodable, Sendable {
  package struct Machine: Decodable, Sendable {
    package let name: String
    package let id: String
  }
  package struct Ledger: Decodable, Sendable {
    package let seen: Int
    package let safe: Int
    package let pending: Int
    package let skipped: Int

    package var closes: Bool { seen == safe + pending + skipped }
  }
  package struct Count: Decodable, Sendable {
    package let files: Int
    package let bytes: Int
  }
  package struct Peer: Decodable, Sendable {
    package let name: String
    package let id: String
    package let role: String
    package let state: String
    package let complete: Bool
    package let lacks: Count
    package let lastSeen: String?
    package let address: String?
    /// With `--ping`.
    package let roundTripSeconds: Double?

    package var isConnected: Bool { state == "connected" }
  }
  package struct Reason: Decodable, Sendable {
    package let code: String
    package let message: String
  }

  package let state: String
  package let complete: Bool
  package let machine: Machine
  package let household: Machine
  package let ledger: Ledger
  package let missing: Count
  package let peers: [Peer]
  package let reasons: [Reason]
  package let discovery: String
  package let listeningPort: Int

  package func peer(_ name: String) -> Peer? { peers.first { $0.name == name } }
}

/// What `mantel peers --json` says.
package struct PeersJSON: Decodable, Sendable {
  package struct Removed: Decodable, Sendable {
    package let name: String
    package let removedBy: String
  }
  package struct Admitted: Decodable, Sendable {
    package let name: String
  }
  package let peers: [StatusJSON.Peer]
  /// Machines that have not joined yet.
  package let admitted: [Admitted]
  package let removed: [Removed]
  package let fixedAddresses: [String]
}

/// What `mantel invite --json` says.
package struct InviteJSON: Decodable, Sendable {
  package let code: String
  package let addresses: [String]
}

/// A path in an answer: text for people, and the true bytes where that is not the same.
package struct PathJSON: Decodable, Sendable {
  private let path: String
  private let pathBase64: String?

  package var bytes: [UInt8] {
    if let pathBase64, let data = Data(base64Encoded: pathBase64) { return Array(data) }
    return Array(path.utf8)
  }
}

/// A line of `mantel ls --json`.
package struct FileJSON: Decodable, Sendable {
  package let machine: String
  package let folder: String
  package let path: PathJSON
  package let size: Int
  package let state: String
  package let sha256: String
  package let heldBy: [String]
  package let machines: Int
}

/// A line of `mantel skipped --json`.
package struct SkippedJSON: Decodable, Sendable {
  package let folder: String
  package let path: PathJSON
  package let reason: String
  package let message: String
}

extension LabResult {
  /// The one JSON value on stdout.
  package func json<Answer: Decodable>(_ type: Answer.Type = Answer.self) throws -> Answer {
    do {
      return try JSONDecoder().decode(type, from: Data(stdout.utf8))
    } catch {
      throw LabError.commandFailed(
        command: "decode \(type): \(error)", status: exitCode, output: description)
    }
  }

  /// The JSON values on stdout, one a line.
  package func jsonLines<Answer: Decodable>(_ type: Answer.Type = Answer.self) throws -> [Answer] {
    do {
      return try stdout.split(separator: "\n").map { try JSONDecoder().decode(type, from: Data($0.utf8)) }
    } catch {
      throw LabError.commandFailed(
        command: "decode lines of \(type): \(error)", status: exitCode, output: description)
    }
  }

  /// Itself when the exit code is 0; else throws with all that was said.
  @discardableResult
  package func succeeded(_ what: String = "command") throws -> LabResult {
    guard exitCode == 0 else {
      throw LabError.commandFailed(command: what, status: exitCode, output: description)
    }
    return self
  }
}
