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

  /// The one pass says what the words of the rule say, component by component.
  @Test func onePassJudgesAsTheRule() {
    var paths: [[UInt8]] = [[]]
    var longest: [[UInt8]] = [[]]
    for _ in 0..<6 {
      longest = longest.flatMap { path in [0x2f, 0x2e, 0x61, 0].map { path + [$0] } }
      paths += longest
    }
    for count in [1, 2, 3, 254, 255, 256] {
      for byte in [UInt8(0x2e), 0x61] {
        let name = [UInt8](repeating: byte, count: count)
        paths += [name, name + [0x2f, 0x61], [0x61, 0x2f] + name, name + [0x61], [0x61] + name]
      }
    }
    for path in paths {
      let components = path.split(separator: 0x2f, omittingEmptySubsequences: false)
      let isSafe = components.allSatisfy { name in
        !name.isEmpty && name.count <= 255 && !name.contains(0) && name != [0x2e] && name != [0x2e, 0x2e]
      }
      #expect(RelativePath.isSafe(path) == isSafe, "\(path)")
    }
  }

  @Test func splitsIntoComponents() {
    #expect(RelativePath.components(Array("a/bc/d".utf8)) == [[0x61], [0x62, 0x63], [0x64]])
    #expect(RelativePath.components([]) == [])
  }
}
