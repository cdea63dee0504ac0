import MantelCore
import Testing

@testable import MantelReplication

@Suite struct ConsentTests {
  @Test func itStandsForASet() {
    let ids = (1...5).map { Digest256($0, 0, 0, 0) }
    #expect(Consent.to(ids) == Consent.to(ids.reversed() + ids))
    #expect(Consent.to(ids).count == 64)
    #expect(Set([Consent.to(ids), Consent.to(ids.dropLast()), Consent.to([])]).count == 3)
    #expect(Consent.to(ids) != Consent.to(ids.dropLast() + [Digest256(6, 0, 0, 0)]))
  }
}
