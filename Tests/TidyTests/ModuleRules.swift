/// Who may import what: the table of Sources/README.md. What a module's row does not name, it must not import; the
/// manifest cannot tell modules of the toolchain, so this is the only guard against those.
enum ModuleRules {
  static let imports: [String: Set<String>] = [
    "MantelCore": [],
    "MantelDisk": [
      "MantelCore", "CMantelSystem", "SystemPackage", "Crypto", "NIOCore", "NIOPosix", "Glibc",
      "Synchronization",
    ],
    "MantelCatalog": ["MantelCore", "GRDB", "GRDBSQLite", "Synchronization"],
    "MantelSummary": ["MantelCore", "Crypto"],
    "MantelWire": ["MantelCore", "NIOCore"],
    "MantelSession": ["MantelCore", "MantelSummary", "MantelWire", "DequeModule", "NIOCore"],
    "MantelHousehold": ["MantelCore", "Crypto", "X509", "SwiftASN1"],
    "MantelReplication": [
      "MantelCore", "MantelSummary", "MantelHousehold", "BitCollections", "DequeModule", "HeapModule",
    ],
    "MantelTransport": [
      "MantelCore", "MantelWire", "MantelSession", "MantelHousehold", "NIOCore", "NIOPosix", "NIOSSL",
      "NIOTLS", "Logging", "Glibc", "Synchronization",
    ],
    "MantelDiscovery": ["MantelCore", "CAvahi", "Logging", "Glibc", "Synchronization"],
    "MantelControl": [
      "MantelCore", "AsyncHTTPClient", "NIOCore", "NIOHTTP1", "NIOFoundationCompat", "Foundation", "Glibc",
    ],
    "MantelAgent": [
      "MantelCore", "MantelDisk", "MantelCatalog", "MantelSummary", "MantelWire", "MantelSession",
      "MantelHousehold", "MantelReplication", "MantelTransport", "MantelDiscovery", "MantelControl",
      "ServiceLifecycle", "UnixSignals", "Logging", "NIOCore", "NIOPosix", "Foundation", "Glibc",
      "Synchronization", "Dispatch",
    ],
    "MantelGallery": [
      "MantelCore", "MantelControl", "MantelAgent", "Hummingbird", "HummingbirdCore", "HTTPTypes",
      "Logging", "NIOCore", "NIOPosix", "Foundation", "Glibc", "Synchronization", "ServiceLifecycle",
    ],
    "MantelCommands": [
      "MantelCore", "MantelControl", "MantelAgent", "MantelGallery", "ArgumentParser", "Foundation", "Glibc",
      "Synchronization", "Logging", "ServiceLifecycle", "UnixSignals",
    ],
    "mantel": ["MantelCommands"],
  ]

  /// Single files that touch the world on behalf of a pure module.
  static let exceptions: [String: Set<String>] = [
    // The two effects of the module: reading and making the key file.
    "Sources/MantelHousehold/KeyFile.swift": ["Glibc"],
    // X509 takes the dates of a certificate as `Date`; they are constants.
    "Sources/MantelHousehold/DeviceKey.swift": ["Foundation"],
  ]

  /// Modules that decide and do nothing: the same inputs give the same outputs.
  static let pure: Set<String> = [
    "MantelCore", "MantelSummary", "MantelWire", "MantelSession", "MantelHousehold", "MantelReplication",
  ]

  static let longestFile = 600

  static func importViolations(_ file: SourceFile) -> [String] {
    guard let allowed = imports[file.module] else {
      return ["\(file.path): a module without a row in the table"]
    }
    let all = allowed.union(exceptions[file.path] ?? [])
    return SwiftCode(file.text).imports.filter {
      // The essentials are a part of Foundation, and the better one to take.
      !all.contains($0 == "FoundationEssentials" ? "Foundation" : $0)
    }.map { "\(file.path): imports \($0)" }
  }

  /// Something that code must not do. `words` are looked for in the whole file first; the pattern then judges each
  /// line.
  private struct Rule {
    var what: String
    var words: [String]
    var pattern: Regex<Substring>
  }

  /// Clocks, randomness and waiting, which pure modules take as arguments.
  static func impurities(_ file: SourceFile) -> [String] {
    violations(
      file, SwiftCode(file.text).text,
      [
        Rule(
          what: "reads a clock", words: ["Date()", ".now", "clock_gettime", "gettimeofday"],
          pattern:
            /\bDate\(\)|(?:^|[\s(,:=?]|\b[A-Z]\w*|\(\))\.now\b|\bclock_gettime\b|\bgettimeofday\b/),
        Rule(
          what: "reads a clock", words: ["Clock", "DispatchTime"],
          pattern: /\b(?:ContinuousClock|SuspendingClock|DispatchTime)\b/),
        Rule(
          what: "uses randomness", words: [".random(", "SystemRandom", "getrandom"],
          pattern: /\.random\(|\bSystemRandomNumberGenerator\b|\bgetrandom\b/),
        Rule(
          what: "uses randomness", words: [".shuffle", ".randomElement"],
          pattern: /\.(?:shuffle|shuffled|randomElement)\(\)/),
        Rule(
          what: "waits", words: ["sleep"],
          pattern: /\bTask\.sleep\b|\busleep\(|\bnanosleep\(/),
        Rule(
          what: "is asynchronous", words: ["async", "await", "actor", "Task"],
          pattern: /\b(?:async|await)\b|\bactor\s+\w|\bTask(?:\s*\{|\.detached)/),
      ])
  }

  /// What no file of the package may have.
  static func carelessness(_ file: SourceFile) -> [String] {
    let code = SwiftCode(file.text).text
    var found = violations(file, code, [Rule(what: "uses try!", words: ["try!"], pattern: /\btry!/)])
    if file.path.hasPrefix("Sources/") {
      found += violations(
        file, file.text,
        [
          Rule(
            what: "leaves work undone", words: ["TODO", "FIXME"], pattern: /\b(?:TODO|FIXME)\b/)
        ])
    } else {
      // A shell may wait; a test awaits an event instead.
      found += violations(
        file, code, [Rule(what: "sleeps", words: ["Task.sleep"], pattern: /\bTask\.sleep\b/)])
    }
    let lines = file.text.utf8.count { $0 == UInt8(ascii: "\n") }
    if lines > longestFile { found.append("\(file.path): has \(lines) lines") }
    return found
  }

  private static func violations(_ file: SourceFile, _ text: String, _ rules: [Rule]) -> [String] {
    let rules = rules.filter { rule in rule.words.contains { text.contains($0) } }
    guard !rules.isEmpty else { return [] }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.enumerated().flatMap { number, line in
      rules.filter { rule in
        rule.words.contains { line.contains($0) } && line.firstMatch(of: rule.pattern) != nil
      }.map { "\(file.path):\(number + 1): \($0.what)" }
    }
  }
}
