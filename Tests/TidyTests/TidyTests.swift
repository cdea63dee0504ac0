import Testing

/// What the manifest and the compiler cannot see.
@Suite struct TidyTests {
  @Test func modulesImportOnlyWhatTheirRowAllows() throws {
    let files = try SourceTree.files(below: "Sources")
    #expect(!files.isEmpty)
    #expect(files.flatMap(ModuleRules.importViolations) == [])
  }

  @Test func tableHasEachModuleAndNoOther() throws {
    let systemModules: Set = ["CAvahi", "CMantelSystem"]
    #expect(
      Set(try SourceTree.folders(in: "Sources")).subtracting(systemModules) == Set(ModuleRules.imports.keys))
  }

  @Test func pureModulesTakeTimeAndRandomnessAsArguments() throws {
    let files = try SourceTree.files(below: "Sources").filter { ModuleRules.pure.contains($0.module) }
    #expect(files.flatMap(ModuleRules.impurities) == [])
  }

  @Test(arguments: ["Sources", "Tests"]) func filesAreShortAndCareful(folder: String) throws {
    let files = try SourceTree.files(below: folder)
    #expect(files.flatMap(ModuleRules.carelessness) == [])
  }

  @Test func theTestsThatTheirReadmeNamesAreThere() throws {
    // The name of no module: it stands for all of them.
    let document = try SourceTree.text("Tests/README.md").replacing("`MantelXTests`", with: "")
    #expect(NamedTests.names(in: document).count > 100)
    #expect(
      try NamedTests.missing(
        in: document, files: SourceTree.files(below: "Tests"), manifest: SourceTree.text("Package.swift"))
        == [])
  }
}

/// The rules themselves: each finds what it is for, and nothing in comments or literals.
@Suite struct TidyRuleTests {
  private func file(_ text: String, in module: String = "MantelCore") -> SourceFile {
    SourceFile(path: "Sources/\(module)/Planted.swift", text: text)
  }

  @Test(arguments: [
    "import Foundation", "package import Foundation", "@testable import GRDB",
    "  import struct Foundation.Data",
    "@_implementationOnly import Glibc", "internal import enum NIOCore.X", "import FoundationEssentials",
  ])
  func findsImports(text: String) {
    #expect(ModuleRules.importViolations(file(text)).count == 1)
  }

  @Test func knowsRowsAndExceptions() {
    #expect(ModuleRules.importViolations(file("import GRDB", in: "MantelCatalog")) == [])
    #expect(ModuleRules.importViolations(file("import GRDB", in: "MantelAgent")).count == 1)
    #expect(ModuleRules.importViolations(file("import MantelCore", in: "MantelNew")).count == 1)
    let keyFile = SourceFile(path: "Sources/MantelHousehold/KeyFile.swift", text: "import Glibc")
    #expect(ModuleRules.importViolations(keyFile) == [])
    #expect(ModuleRules.importViolations(file("import Glibc", in: "MantelHousehold")).count == 1)
  }

  @Test(arguments: [
    "let a = Date()", "let a: Date = .now", "f(.now)", "let a = ContinuousClock.now", "Int.random(in: 0..<9)",
    "ids.shuffled()", "try await Task.sleep(for: .seconds(1))", "func f() async {}", "actor Registry {",
    "Task { f() }", "\"\\(Int.random(in: 0..<9))\"",
  ])
  func findsImpurities(text: String) {
    #expect(!ModuleRules.impurities(file(text)).isEmpty)
  }

  @Test(arguments: [
    "// Date() in a comment", "/* a /* nested */ Task.sleep */", "let a = \"Task.sleep(.now)\"",
    "let a = #\"a \"quoted\" .random( \"#", "let a = now.instant", "func f(now: Instant) { g(now: now) }",
    "let a = input.now", "let a = \"\"\"\n  try! \"x\" await\n  \"\"\"", "let factor = asyncCount",
    "let a = values.randomElement(using: &generator)", "let a = \"\\\"Date()\"",
  ])
  func leavesTheRestAlone(text: String) {
    #expect(ModuleRules.impurities(file(text)) == [])
    #expect(ModuleRules.carelessness(file(text)) == [])
  }

  @Test func findsCarelessness() {
    #expect(ModuleRules.carelessness(file("let a = try! f()")).count == 1)
    #expect(ModuleRules.carelessness(file("// TO" + "DO: later")).count == 1)
    #expect(ModuleRules.carelessness(file(String(repeating: "\n", count: ModuleRules.longestFile))) == [])
    #expect(
      ModuleRules.carelessness(file(String(repeating: "\n", count: ModuleRules.longestFile + 1))).count == 1)
    let test = SourceFile(path: "Tests/SomeTests/Planted.swift", text: "await Task.sleep(x)")
    #expect(ModuleRules.carelessness(test) == ["Tests/SomeTests/Planted.swift:1: sleeps"])
  }

  @Test func findsNamesOfTestsThatAreNotThere() {
    let document =
      "| `ATests` | `BTests.aHolds`, `BTests.bHolds` |, `CTests` [`trial`] `ATests.swift.x`\n`DTests.aHolds`"
    let files = [
      SourceFile(path: "Tests/A/A.swift", text: "@Suite struct BTests {\n  @Test func aHolds() {}\n}"),
      SourceFile(path: "Tests/A/B.swift", text: "@Suite struct DTestsToo {\n  @Test func aHolds() {}\n}"),
    ]
    let missing = NamedTests.missing(in: document, files: files, manifest: ".testTarget(name: \"CTests\")")
    #expect(missing == ["ATests", "BTests.bHolds", "DTests.aHolds"])
  }

  @Test func keepsLineNumbers() {
    let text = "/*\n\n*/ let a = \"\"\"\n  x\n  \"\"\"\nlet b = try! f()"
    #expect(ModuleRules.carelessness(file(text)) == ["Sources/MantelCore/Planted.swift:6: uses try!"])
  }
}
