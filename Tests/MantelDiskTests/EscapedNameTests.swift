import Glibc
import MantelCore
import Testing

@testable import MantelDisk

/// Names that the replica's filesystem cannot hold land all the same, and always under the same name.
@Suite struct EscapedNameTests {
  private func forms(_ name: String) -> [String] {
    EscapedName.forms(of: Array(name.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func whatIsRefusedIsEscapedAndTheRestIsKept() {
    #expect(forms("IMG_1.jpg") == ["IMG_1.jpg"])
    #expect(forms("12:30 \"a\".jpg") == ["12:30 \"a\".jpg", "12%3A30 %22a%22.jpg"])
    #expect(forms("M\u{FC}ller\n") == ["M\u{FC}ller\n", "M\u{FC}ller%0A"])
    #expect(forms("trip...") == ["trip...", "trip..%2E"])
    #expect(EscapedName.forms(of: [0x61, 0xFF]) == [[0x61, 0xFF], Array("a%FF".utf8)])
  }

  @Test func longNamesAreCutBetweenCharactersAndToldApart() throws {
    let long = String(repeating: "\u{E4}", count: 120)
    let (one, two) = (forms(long + "1.jpg"), forms(long + "2.jpg"))
    #expect(one.count == 2 && one[1].utf8.count <= 100 && one[1].hasSuffix(".jpg"))
    #expect(one[1].prefix(20) == long.prefix(20) && one[1] != two[1])
    #expect(!one[1].unicodeScalars.contains("\u{FFFD}"))
  }

  private func fixture() throws -> ReplicaFixture {
    let fixture = try ReplicaFixture()
    fixture.faults.state.withLock {
      $0.refuses = { name in
        if name.contains(UInt8(ascii: ":")) { return EINVAL }
        return name.count > 143 ? ENAMETOOLONG : nil
      }
    }
    return fixture
  }

  @Test func filesAndDirectoriesLandUnderEscapedNames() throws {
    let fixture = try fixture()
    #expect(try fixture.land("m/f/9:00/a:b.jpg", [1]).landedPath == "m/f/9%3A00/a%3Ab.jpg")
    #expect(try fixture.land("m/f/9:00/a:b.jpg", [2]).landedPath.hasPrefix("m/f/9%3A00/a%3Ab ("))
    #expect(try fixture.bytes("m/f/9%3A00/a%3Ab.jpg") == [1])
    let long = String(repeating: "x", count: 200) + ".jpg"
    #expect(try fixture.land("m/\(long)", [3]).isDone)
    // A move, a link and a copy go the same way; what was escaped is left clean.
    let id = content([1])
    let results = fixture.replica.commit([
      .move(
        from: Array("m/f/9%3A00/a%3Ab.jpg".utf8), path: Array("m/g:/x.jpg".utf8), content: id, mtime: 7),
      .link(from: Array("m/g:/x.jpg".utf8), path: Array("m/g:/y:.jpg".utf8), content: id, mtime: 7),
    ])
    #expect(results.map(\.landedPath) == ["m/g%3A/x.jpg", "m/g%3A/y%3A.jpg"])
  }

  @Test func aRepeatFindsWhatWasEscaped() throws {
    let fixture = try fixture()
    let id = try fixture.stage([1])
    let land = FilingOperation.land(id, path: Array("m/9:00/a:b.jpg".utf8), mtime: 7)
    #expect(fixture.replica.commit([land])[0].isDone)
    #expect(fixture.replica.commit([land], isRepeat: true)[0].landedPath == "m/9%3A00/a%3Ab.jpg")
  }
}
