// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// Every dependency states why it is here; own code is kept for what Mantel exists for.
let dependencies: [Package.Dependency] = [
  // Command line parsing, help texts and usage errors.
  .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  // SHA-256, HMAC, HKDF and P-256 signatures.
  .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
  // The self-signed device certificate: building it, reading a peer's.
  .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
  // DER bytes of certificates, as swift-certificates hands them out.
  .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
  // Deque and Heap for bounded queues and deadlines in the pure modules, BitSet for blocks of large contents.
  .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
  // Log lines of the agent.
  .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  // TCP, event loops, byte buffers, the thread pool for blocking work.
  .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
  // TLS 1.3 with both certificates.
  .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  // File descriptors and errno as types.
  .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  // SQLite: migrations, transactions, prepared statements.
  .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
  // The agent's HTTP API on its Unix socket (and, later, the gallery's pages).
  .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
  // The command line's client for that API.
  .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
  // Start, graceful stop and signals of the agent's services.
  .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let bits = Target.Dependency.product(name: "BitCollections", package: "swift-collections")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let serviceLifecycle = Target.Dependency.product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(
  name: "UnixSignals", package: "swift-service-lifecycle")

// The map of these modules, and what each may import, is Sources/README.md.
let package = Package(
  name: "mantel",
  products: [.executable(name: "mantel", targets: ["mantel"])],
  dependencies: dependencies,
  targets: [
    .systemLibrary(name: "CAvahi"),
    .target(name: "CMantelSystem"),
    .target(name: "MantelCore"),
    .target(name: "MantelDisk", dependencies: ["MantelCore", "CMantelSystem", crypto, system, nioPosix]),
    .target(name: "MantelCatalog", dependencies: ["MantelCore", grdb, sqlite]),
    .target(name: "MantelSummary", dependencies: ["MantelCore", crypto]),
    .target(name: "MantelWire", dependencies: ["MantelCore", nioCore]),
    .target(
      name: "MantelSession",
      dependencies: ["MantelCore", "MantelSummary", "MantelWire", deque, nioCore]),
    .target(name: "MantelHousehold", dependencies: ["MantelCore", crypto, x509, asn1]),
    .target(
      name: "MantelReplication",
      dependencies: ["MantelCore", "MantelSummary", "MantelHousehold", bits, deque, heap]),
    .target(
      name: "MantelTransport",
      dependencies: [
        "MantelCore", "MantelWire", "MantelSession", "MantelHousehold", nioCore, nioPosix, nioSSL,
        logging,
      ]),
    .target(name: "MantelDiscovery", dependencies: ["MantelCore", "CAvahi", logging]),
    .target(name: "MantelControl", dependencies: ["MantelCore", httpClient, nioCore, nioHTTP1]),
    .target(
      name: "MantelAgent",
      dependencies: [
        "MantelCore", "MantelDisk", "MantelCatalog", "MantelSummary", "MantelWire",
        "MantelSession", "MantelHousehold", "MantelReplication", "MantelTransport",
        "MantelDiscovery", "MantelControl", serviceLifecycle, logging, nioCore, nioPosix,
      ]),
    .target(
      name: "MantelGallery",
      dependencies: [
        "MantelCore", "MantelControl", hummingbird, hummingbirdCore, serviceLifecycle, logging, nioCore,
        nioPosix,
      ]),
    .target(
      name: "MantelCommands",
      dependencies: [
        "MantelCore", "MantelControl", "MantelAgent", "MantelGallery", argumentParser, logging,
        serviceLifecycle, unixSignals,
      ]),
    .executableTarget(name: "mantel", dependencies: ["MantelCommands"]),
    .target(
      name: "MantelTestSupport", dependencies: ["MantelCore", "MantelSummary"],
      path: "Tests/MantelTestSupport"),
    .testTarget(name: "MantelCoreTests", dependencies: ["MantelCore"]),
    // System calls that fail when a test says so; for the tests only.
    .target(name: "CFaults", path: "Tests/CFaults"),
    .testTarget(
      name: "MantelDiskTests", dependencies: ["MantelDisk", "MantelCore", "MantelTestSupport", "CFaults"]),
    .testTarget(
      name: "MantelCatalogTests",
      dependencies: ["MantelCatalog", "MantelCore", "MantelTestSupport", "CFaults"]),
    .testTarget(
      name: "MantelSummaryTests", dependencies: ["MantelSummary", "MantelCore", "MantelTestSupport"]),
    .testTarget(name: "MantelWireTests", dependencies: ["MantelWire", "MantelCore", nioCore]),
    .testTarget(
      name: "MantelSessionTests",
      dependencies: [
        "MantelSession", "MantelWire", "MantelSummary", "MantelCore", "MantelTestSupport", nioCore,
      ]),
    .testTarget(name: "MantelHouseholdTests", dependencies: ["MantelHousehold", "MantelCore"]),
    .testTarget(
      name: "MantelReplicationTests",
      dependencies: [
        "MantelReplication", "MantelSummary", "MantelHousehold", "MantelCatalog", "MantelCore",
        "MantelTestSupport", deque,
      ]),
    .testTarget(
      name: "MantelTransportTests",
      dependencies: [
        "MantelTransport", "MantelSession", "MantelWire", "MantelHousehold", "MantelCore",
        nioCore, nioPosix, nioSSL, nioEmbedded, logging,
      ]),
    .testTarget(name: "MantelDiscoveryTests", dependencies: ["MantelDiscovery", "MantelCore"]),
    .target(
      name: "MantelControlTestSupport",
      dependencies: ["MantelControl", "MantelGallery", logging, serviceLifecycle],
      path: "Tests/MantelControlTestSupport"),
    .testTarget(
      name: "MantelControlTests",
      dependencies: ["MantelControl", "MantelGallery", "MantelControlTestSupport"]),
    .testTarget(
      name: "MantelAgentTests",
      dependencies: [
        "MantelAgent", "MantelCatalog", "MantelControl", "MantelDisk", "MantelHousehold", "MantelReplication",
        "MantelSession", "MantelTransport", "MantelWire", "MantelCore", "MantelTestSupport", logging, nioCore,
      ]),
    .testTarget(
      name: "MantelCommandsTests",
      dependencies: [
        "MantelCommands", "MantelAgent", "MantelControl", "MantelControlTestSupport", logging,
        argumentParser,
      ]),
    // What takes bytes from outside, with what must be true of it: for fuzzing, and for the tests of inputs once found.
    .target(
      name: "MantelFuzzing",
      dependencies: [
        "MantelCore", "MantelDisk", "MantelSummary", "MantelWire", "MantelSession", "MantelHousehold",
        nioCore,
      ],
      path: "Tests/Fuzzing/Targets"),
    .testTarget(
      name: "MantelFuzzingTests", dependencies: ["MantelFuzzing", "MantelTestSupport"],
      path: "Tests/Fuzzing/Tests"),
    .testTarget(name: "TidyTests"),
    // What runs inside a lab machine to try discovery without an agent; for the tests only.
    .executableTarget(
      name: "mantel-lab-probe",
      dependencies: ["MantelDiscovery", "MantelHousehold", "MantelCore", "MantelWire", nioCore, logging],
      path: "Tests/MantelLabProbe"),
    .testTarget(
      name: "LabTests",
      dependencies: ["MantelTestSupport", "MantelCatalog", "MantelCore", "mantel-lab-probe"]),
  ]
)

// Not for users: what measures, only where it is asked for.
if Context.environment["MANTEL_BENCHMARKS"] == "1" {
  package.targets.append(
    .executableTarget(
      name: "mantel-compare",
      dependencies: [
        "MantelControl", "MantelTestSupport", argumentParser, crypto, httpClient, nioCore, nioHTTP1,
      ],
      path: "Tests/Compare"))
  package.targets.append(
    .executableTarget(
      name: "mantel-swarm", dependencies: ["MantelTestSupport", argumentParser], path: "Tests/Swarm"))
  package.targets.append(
    .executableTarget(
      name: "mantel-latency", dependencies: ["MantelTestSupport", argumentParser], path: "Tests/Latency"))
  package.targets.append(
    .executableTarget(
      name: "mantel-benchmarks",
      dependencies: [
        "MantelCatalog", "MantelCore", "MantelDisk", "MantelHousehold", "MantelReplication", "MantelSession",
        "MantelSummary", "MantelTestSupport", "MantelTransport", "MantelWire", argumentParser, crypto,
        logging, nioCore,
        nioPosix,
      ],
      path: "Tests/Benchmarks"))
  package.targets.append(
    .executableTarget(
      name: "mantel-growth",
      dependencies: [
        "MantelCatalog", "MantelControl", "MantelCore", "MantelHousehold", "MantelSummary",
        "MantelTestSupport", argumentParser,
      ],
      path: "Tests/Growth"))
}

// The fuzzer, with coverage in all that takes bytes from outside; `MANTEL_FUZZING=address` with AddressSanitizer too.
let sanitizers: [String: String] = ["1": "fuzzer", "address": "fuzzer,address"]
let fuzzing = Context.environment["MANTEL_FUZZING"].flatMap { sanitizers[$0] }.map { "-sanitize=\($0)" }
if let fuzzing {
  package.targets.append(.systemLibrary(name: "CFuzzer", path: "Tests/Fuzzing/CFuzzer"))
  package.targets.append(
    .executableTarget(
      name: "mantel-fuzz", dependencies: ["MantelFuzzing", "CFuzzer"], path: "Tests/Fuzzing/Fuzzer",
      linkerSettings: [.unsafeFlags([fuzzing, "-use-ld=lld"])]))
}

// Members are visible only through an import of their module, in the modules that call no C. Elsewhere Swift 6.3 takes a C
// structure for Glibc's, CDispatch's or CAvahi's, whichever a batch of files loaded first, and reports the import of the
// others as missing: whether a build passed would depend on its order.
let modulesWithoutC = [
  "MantelCore", "MantelCatalog", "MantelSummary", "MantelWire", "MantelSession", "MantelReplication",
]

let fuzzed: Set<String> =
  fuzzing != nil
  ? [
    "MantelCore", "MantelDisk", "MantelSummary", "MantelWire", "MantelSession", "MantelHousehold",
    "MantelFuzzing",
    "mantel-fuzz",
  ] : []

// `package` declarations and one set of language features hold for every Swift target.
for target in package.targets
where target.type != .system && !["CMantelSystem", "CFaults"].contains(target.name) {
  target.swiftSettings = swiftSettings
  if modulesWithoutC.contains(target.name) {
    target.swiftSettings?.append(.enableUpcomingFeature("MemberImportVisibility"))
  }
  if let fuzzing, fuzzed.contains(target.name) { target.swiftSettings?.append(.unsafeFlags([fuzzing])) }
}
