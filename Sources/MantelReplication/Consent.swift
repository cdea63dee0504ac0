package import MantelCore
import MantelSummary

/// What a person was shown and agrees to. Whoever is asked sends it back, and nothing is done when it stands for something
/// else by then: as many photos may be other ones.
package enum Consent {
  /// The same for the same ids in whatever order, each once; 64 hexadecimal digits.
  package static func to(_ ids: some Sequence<Digest256>) -> String {
    SummaryHash.sha256(Set(ids).sorted().flatMap(\.bytes)).hex
  }
}
