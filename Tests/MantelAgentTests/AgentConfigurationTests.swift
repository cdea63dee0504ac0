@testable import MantelAgent
import MantelCore
import MantelReplication
import Testing

@Suite struct AgentConfigurationTests {
  private func read(_ text: String) throws -> AgentConfiguration {
    try AgentConfiguration(text: text, path: "config")
  }

  @Test func nothingSetMeansTheDefaults() throws {
    let configuration = try read("# nothing\n\n   \n")
    #expect(configuration == AgentConfiguration())
    #expect(configuration.keep[.photo] == .forEver)
    #expect(configuration.keep[.sidecar] == KeepRules.Rule(days: 90, versions: 10))
  }

  @Test func whatIsSetCounts() throws {
    let configuration = try read(
      """
      keep.sidecar = forever   # Lightroom's
      keep.other=30 days
        keep.raw = 1 version
      keep.video = 10 versions, 365 days
      """)
    #expect(configuration.keep[.sidecar] == .forEver)
    #expect(configuration.keep[.other] == KeepRules.Rule(days: 30))
    #expect(configuration.keep[.raw] == KeepRules.Rule(versions: 1))
    #expect(configuration.keep[.video] == KeepRules.Rule(days: 365, versions: 10))
  }

  @Test(arguments: [
    "keep.photo", "keep.photo =", "keep.photos = forever", "keep.photo = 0 days", "keep.photo = -1 days",
    "keep.photo = 5", "keep.photo = 5 days, 6 days", "keep.photo = 5 days,", "keep.photo = many days",
    "keep.photo = 99999999999999999999 days", "keep.photo = 40000 days",
  ])
  func whatIsNotUnderstoodStopsTheStart(line: String) {
    let error = #expect(throws: AgentError.self) { try read("\n\(line)") }
    #expect(error?.message.contains("line 2") == true)
  }
}
