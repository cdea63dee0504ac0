import MantelCore
import MantelReplication
import Testing

@Suite struct ReplicaNamingTests {
  private let id = "0123456789abcdef"

  private func name(_ wish: String, taken: [String] = []) -> String {
    ReplicaNaming.directory(wish: wish, id: id, taken: taken)
  }

  @Test func aFreeNameIsTakenAsItIs() {
    #expect(name("Photos") == "Photos")
    #expect(name("Фото 2026", taken: ["Photos"]) == "Фото 2026")
  }

  @Test(arguments: [
    ("photos", "Photos"), ("PHOTOS", "photos"), ("Ärger", "ärger"),
    // Composed and decomposed are one name on filesystems that normalise.
    ("caf\u{E9}", "cafe\u{301}"), ("CAFE\u{301}", "caf\u{E9}"),
  ]) func twinsUnderFoldingAndNormalisationGetTheIdsMark(wish: String, taken: String) {
    #expect(name(wish, taken: [taken]) == "\(wish) (0123)")
  }

  @Test func aTakenMarkGrows() {
    #expect(name("a", taken: ["A", "a (0123)"]) == "a (01234567)")
    let all = stride(from: 4, through: 16, by: 4).map { "a (\(id.prefix($0)))" }
    #expect(!all.contains(name("a", taken: ["a"] + all.dropLast())) || name("a", taken: ["a"]) == all[0])
  }

  @Test(arguments: [".mantel", ".MANTEL", ".retired", ".Retired", ".", ".."])
  func mantelsOwnNamesAreNotGiven(wish: String) {
    let given = name(wish)
    #expect(given == "\(wish) (0123)")
  }

  @Test func whatCannotBeANameIsReplaced() {
    #expect(name("") == "_")
    #expect(name("a/b\0c\u{7F}\n") == "a_b_c__")
    let long = name(String(repeating: "ü", count: 300))
    #expect(long.utf8.count <= Limits.nameBytes)
    #expect(
      ReplicaNaming.directory(wish: long, id: id, taken: [long]).utf8.count <= Limits.pathComponentBytes)
  }

  private func retired(_ path: [UInt8], _ time: Int64 = 0) -> String {
    String(
      decoding: ReplicaNaming.retired(
        folder: "Photos", path: path, content: ContentID(Digest256(0xAABB_CCDD << 32, 0, 0, 0)),
        at: WallTime(nanoseconds: time)), as: UTF8.self)
  }

  @Test func retiredNamesCarryDateAndContentBeforeTheExtension() {
    #expect(retired(bytes("a/b/c.jpg")) == ".retired/Photos/a/b/c (1970-01-01 aabbccdd).jpg")
    #expect(retired(bytes("c.tar.gz")) == ".retired/Photos/c.tar (1970-01-01 aabbccdd).gz")
    #expect(retired(bytes("a.b/README")) == ".retired/Photos/a.b/README (1970-01-01 aabbccdd)")
    #expect(retired(bytes(".hidden")) == ".retired/Photos/.hidden (1970-01-01 aabbccdd)")
    // What is too long for an extension is none.
    #expect(
      retired(bytes("a.this-is-no-extension"))
        == ".retired/Photos/a.this-is-no-extension (1970-01-01 aabbccdd)")
  }

  @Test(arguments: ["", ".jpg", ".extension-of-15"]) func longNamesFit(suffix: String) {
    let stem = [UInt8](repeating: UInt8(ascii: "x"), count: 255 - suffix.utf8.count)
    let path = ReplicaNaming.retired(
      folder: "Photos", path: stem + bytes(suffix), content: content("x"),
      at: WallTime(nanoseconds: 0))
    let name = path.split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? []
    #expect(name.count == Limits.pathComponentBytes)
    #expect(name.suffix(suffix.utf8.count).elementsEqual(suffix.utf8))
    #expect(RelativePath.isSafe(path))
  }

  /// A filesystem that takes only UTF-8 would refuse half a character.
  @Test(arguments: 0..<4) func aLongNameIsNotCutInACharacter(shift: Int) {
    let stem = String(repeating: "x", count: shift) + String(repeating: "😀", count: 60)
    let path = ReplicaNaming.retired(
      folder: "Photos", path: bytes("\(stem).jpg"), content: content("x"), at: WallTime(nanoseconds: 0))
    #expect(String(validating: path, as: UTF8.self) != nil)
  }

  @Test(
    arguments: [
      (0, "1970-01-01"), (-1, "1969-12-31"), (-86_400, "1969-12-31"), (-86_401, "1969-12-30"),
      (951_782_400, "2000-02-29"), (951_868_800, "2000-03-01"), (1_709_164_800, "2024-02-29"),
      (1_709_251_199, "2024-02-29"), (1_709_251_200, "2024-03-01"), (4_107_542_399, "2100-02-28"),
      (4_107_542_400, "2100-03-01"), (-2_177_452_800, "1901-01-01"), (-2_203_891_201, "1900-02-28"),
      (-2_203_891_200, "1900-03-01"), (9_223_372_036, "2262-04-11"), (-9_223_372_036, "1677-09-21"),
    ] as [(Int64, String)]) func datesAreCivilDatesInUTC(seconds: Int64, expected: String)
  {
    #expect(ReplicaNaming.date(WallTime(nanoseconds: seconds * 1_000_000_000)) == expected)
  }
}
