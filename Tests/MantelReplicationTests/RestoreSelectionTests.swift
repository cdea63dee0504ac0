import MantelCore
import Testing

@testable import MantelReplication

/// Which versions come back, and where they lie.
@Suite struct RestoreSelectionTests {
  private let library = MachineID(content("anna").digest)
  private let other = MachineID(content("ben").digest)

  private func at(_ seconds: Int64) -> WallTime { WallTime(nanoseconds: seconds * 1_000_000_000) }

  private func entry(_ path: String, _ name: String, _ state: EntryState, of owner: MachineID? = nil)
    -> InstalledEntry
  {
    let entry = Entry(
      folder: SingleMachine.folderID, path: bytes(path), content: content(name), size: 10, mtime: 1,
      kind: .photo, state: state, manifest: nil)
    return InstalledEntry(library: owner ?? library, id: EntryID(of: entry), entry: entry)
  }

  private func chosen(_ scope: RestoreScope, _ entries: [InstalledEntry]) -> [ContentID] {
    var selection = RestoreSelection(scope)
    return (entries.flatMap { selection.add($0) } + selection.finish()).map(\.entry.content)
  }

  @Test func afterADeletionTheNewestDeletedVersionComesBack() {
    let entries = [
      entry("a", "first", .retired(.replaced, at: at(1))),
      entry("a", "old", .retired(.deleted, at: at(2))),
      entry("a", "new", .retired(.deleted, at: at(4))),
      entry("a", "edited", .retired(.replaced, at: at(3))),
      entry("b", "gone with its folder", .retired(.excluded, at: at(9))),
      entry("c", "missing after a restore", .retired(.missing, at: at(9))),
    ]
    #expect(
      chosen(.present, entries)
        == [content("new"), content("gone with its folder"), content("missing after a restore")])
  }

  @Test func whereSomethingIsOnlyThatComesBack() {
    let entries = [
      entry("a", "deleted", .retired(.deleted, at: at(2))), entry("a", "there", .live),
      entry("b", "replaced, and moved away since", .retired(.replaced, at: at(3))),
    ]
    #expect(chosen(.present, entries) == [content("there")])
  }

  @Test func afterAnEncryptionInPlaceTheOriginalsComeBackAsTheyWereBefore() {
    let entries = [
      entry("a", "a encrypted", .live), entry("a", "a", .retired(.replaced, at: at(100))),
      entry("a", "a of last year", .retired(.replaced, at: at(5))),
      entry("b", "b, untouched", .live),
      entry("c", "c", .retired(.deleted, at: at(101))),
      entry("d", "deleted long ago", .retired(.deleted, at: at(6))),
      entry("e", "e", .retired(.replaced, at: at(100))),
      entry("e", "e encrypted, and deleted", .retired(.deleted, at: at(105))),
    ]
    #expect(
      chosen(.asOf(at(99)), entries) == [content("a"), content("b, untouched"), content("c"), content("e")])
  }

  @Test func everyVersionComesWithTheLivingOneFirst() {
    let entries = [
      entry("a", "1", .retired(.replaced, at: at(1))), entry("a", "3", .live),
      entry("a", "2", .retired(.deleted, at: at(2))),
    ]
    #expect(chosen(.everything, entries) == ["3", "2", "1"].map(content))
  }

  @Test func placesOfDifferentFoldersAndLibrariesAreDifferent() {
    let entries = [
      entry("a", "mine", .live), entry("a", "ben's", .retired(.deleted, at: at(1)), of: other),
    ]
    #expect(chosen(.present, entries) == [content("mine"), content("ben's")])
  }

  // MARK: Layout

  @Test(arguments: [
    (nil as String?, true, "Photos/2001/a.jpg"), ("anna/**", false, "Photos/2001/a.jpg"),
    ("/anna/Photos/*", false, "Photos/2001/a.jpg"), ("*/Photos/**", false, "anna/Photos/2001/a.jpg"),
    ("a.jpg", false, "anna/Photos/2001/a.jpg"), ("an[n]a/**", false, "anna/Photos/2001/a.jpg"),
    ("*.jpg", true, "Photos/2001/a.jpg"),
  ])
  func machinesGetADirectoryWhenSeveralMayMatch(pattern: String?, isNamed: Bool, path: String) {
    let layout = RestoreLayout(
      machine: isNamed ? library : nil, pattern: pattern, machines: [(library, "anna"), (other, "ben")])
    let installed = entry("2001/a.jpg", "a", .live)
    #expect(String(decoding: layout.path(of: installed, folder: "Photos"), as: UTF8.self) == path)
  }

  @Test(arguments: ["..", ".", "", "a/b", "/", ".mantel", "x\u{0}y", "../../etc"])
  func aFoldersNameNeverLeadsElsewhere(name: String) {
    let layout = RestoreLayout(machine: nil, pattern: nil, machines: [(library, name), (other, name)])
    for owner in [library, other] {
      let path = layout.path(of: entry("a.jpg", "a", .live, of: owner), folder: name)
      #expect(RelativePath.isSafe(path))
      #expect(RelativePath.components(path).count == 3)
    }
  }

  @Test func machinesOfOneNameGetDirectoriesOfTheirOwn() {
    let layout = RestoreLayout(machine: nil, pattern: nil, machines: [(library, "pi"), (other, "pi")])
    let paths = [library, other].map { layout.path(of: entry("a", "a", .live, of: $0), folder: "P") }
    #expect(paths[0] != paths[1])
  }
}
