import MantelCore
import Testing

@Suite struct RelativePathTests {
  @Test(arguments: [
    "a", "a/b", "...", ".hidden", "..a/b..", "a b/ü", " ", "a\\..\\b", "a/.b/c.",
    String(repeating: "x", count: 255) + "/y",
  ])
  func takesWhatStaysBelow(path: String) {
    #expect(RelativePath.isSafe(Array(path.utf8)))
  }

  @Test(arguments: [
    "", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/..", "a/.", "a/../b", "a/./b", "a\0b",
    String(repeating: "x", count: 256), "a/" + String(repeating: "x", count: 256),
  ])
  func refusesTheRest(path: String) {
    #expect(!RelativePath.isSafe(Array(path.utf8)))
  }

  @Test func lengthIsBounded() {
    let components = [[UInt8]](repeating: [0x61], count: Limits.pathBytes / 2)
    let path = Array(components.joined(separator: [0x2f]))
    #expect(RelativePath.isSafe(path + [0x61]))
    #expect(!RelativePath.isSafe(path + [0x61, 0x61]))
  }

  @Test func splitsIntoComponents() {
    #expect(RelativePath.components(Array("a/bc/d".utf8)) == [[0x61], [0x62, 0x63], [0x64]])
    #expect(RelativePath.components([]) == [])
  }
}
