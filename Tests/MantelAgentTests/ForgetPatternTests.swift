import MantelCore
import Testing

@testable import MantelAgent

/// Which libraries a PATTERN of `forget` reaches.
@Suite struct ForgetPatternTests {
  private let own = MachineID(Digest256(0, 0, 0, 1))
  private let kept = MachineID(Digest256(0, 0, 0, 2))

  /// Fails where a wildcard reaches what a removed machine left.
  @Test(
    arguments: [
      ("attic/**", true), ("/attic/Photos/2019/*", true), ("att\\ic/**", true), ("*/2019/*", false),
      ("**", false), ("**/2019/*", false), ("att?c/**", false), ("[a]ttic/**", false), ("attic", false),
      ("*.jpg", false), ("desk/**", false), ("attic*/**", false),
    ]) func aKeptLibraryIsChosenByItsNameAlone(pattern: String, isChosen: Bool)
  {
    let chosen = AgentControl.libraries([own, kept], own: own, namedBy: pattern) {
      $0 == own ? "desk" : "attic"
    }
    #expect(chosen == (isChosen ? [own, kept] : [own]))
  }
}
