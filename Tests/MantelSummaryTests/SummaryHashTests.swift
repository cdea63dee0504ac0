import MantelCore
import MantelSummary
import Testing

/// Roots computed by an independent program from the formulas alone.
@Suite struct SummaryHashTests {
  @Test func tagsAreTheFormatsOwn() {
    let household = Fixtures.household
    let machine = Fixtures.machine
    #expect(SetTag.entries(household, library: machine).value == 0x3c34_f3a8_79eb_9805)
    #expect(SetTag.contents(household, library: machine).value == 0x059d_c7af_ba1d_26e6)
    #expect(SetTag.holdings(household).value == 0x8272_7bad_9a27_bd68)
  }

  @Test(arguments: [
    (0, "d9847813142930bf65ab9c269320a2b66c7b9ff587b15d52f3cacd70ccbf41dd"),
    (1, "129d0cafc3c07cac6b203f498d54086d65d50f5a2790f3012c9c2090b2303d5a"),
    (2, "10a1214ad1a0a8204714ddf96fa58060f61fc233a8770cbf02297e5a753e26c3"),
    (32, "cd869d81d9765642b34434af2d82418e34be95bca07786c0abd36e2944e9ce1d"),
    (33, "fc1c79b2e762782b1a35faade8ead07117d649366b1f7ac0c6fd4dba3c5859e4"),
    (500, "34c4fefd21682f71f67ef370ea5cfd2fa96ff1254e82e773dd827a7bfbf6c498"),
    (20_000, "9e055144ac99722e4b75b620cb8b3abc7e48927eaec2cd156d8ff27505fe3b65"),
  ])
  func rootsMatchTheVectors(count: Int, root: String) {
    let ids = (0..<UInt64(count)).map { number in
      SummaryHash.sha256(withUnsafeBytes(of: number.bigEndian) { Array($0) })
    }
    let snapshot = SetSnapshot(sorted: ids.sorted(), tag: Fixtures.tag)
    #expect(snapshot.root.hex == root)
    #expect(snapshot.count == count)
  }

  @Test func deepClusterMatchesTheVector() {
    let ids = (0..<40 as Range<UInt64>).map { number in
      Digest256(
        0xabab_abab_abab_abab, 0xabab_abab_abab_abab, 0xabab_abab_abab_abab,
        0xabab_abab_abab_0000 | number * 257)
    }
    #expect(
      SetSnapshot(sorted: ids, tag: Fixtures.tag).root.hex
        == "188177d244c93a0677db391e54f2a20347594567073e416436ecde8eaa3b6af2")
  }
}
