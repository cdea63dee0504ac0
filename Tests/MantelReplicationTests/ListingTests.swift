import MantelCore
import MantelTestSupport
import Testing

@testable import MantelReplication

/// A directory's listing, held against the ledger and against what is told of its files meanwhile.
@Suite struct ListingTests {
  private static let folder = FolderID(high: 1, low: 2)

  private func row(_ path: [UInt8]) -> LedgerFile {
    LedgerFile(
      folder: Self.folder, path: path, stamp: .unknown, status: .published, content: nil, manifest: nil,
      changes: 0)
  }

  private func ascending(_ paths: Set<[UInt8]>) -> [[UInt8]] {
    paths.sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// Two passes, as of files and of what is skipped, against a dictionary that does the same.
  @Test(arguments: 0..<50) func rowsAreFoundAsInADictionary(seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    func some() -> Set<[UInt8]> {
      Set(
        (0..<Int.random(in: 0...20, using: &random)).map { _ in
          (0..<Int.random(in: 1...3, using: &random)).map { _ in UInt8.random(in: 97...100, using: &random) }
        })
    }
    let there = some()
    var model = Dictionary(uniqueKeysWithValues: there.map { ($0, row($0)) })
    var known = KnownFiles(ascending(there).map(row))
    for pass in [some(), some()] {
      for path in ascending(pass) { #expect(known.take(path)?.path == model.removeValue(forKey: path)?.path) }
      known.rewind()
    }
    #expect(known.left.map(\.path) == ascending(Set(model.keys)))
  }

  @Test func theDirectoryOfTheFileBeforeAnswersForThisOneOnlyIfItIsThisOnes() {
    let scan = FolderScan(directories: [[], Array("a".utf8)])
    var last: [UInt8]?
    for (path, isWalked) in [
      ("a/1", true), ("a/2", true), ("a/b/3", false), ("ab/4", false), ("a/5", true), ("c", true),
      ("d", true),
      ("b/6", false),
    ] {
      #expect(scan.walked(pathOf: Array(path.utf8), last: &last) == isWalked, "\(path)")
    }
  }

  @Test func allOpenListingsHearWhatIsTold() {
    var open = OpenListings()
    for name in ["a", "b", "c"] {
      open.begin(OpenListing(folder: Self.folder, directory: Array(name.utf8)))
    }
    for name in ["a/1", "b/2", "c/3"] {
      open.note(FileKey(folder: Self.folder, path: Array(name.utf8)))
    }
    open.noteGone(Array("b".utf8), of: Self.folder)
    for (name, newer, isGone) in [("a", "a/1", false), ("b", "b/2", true), ("c", "c/3", false)] {
      let listing = open.end(Self.folder, Array(name.utf8))
      #expect(listing?.newer == [Array(newer.utf8)])
      #expect(listing?.isGone == isGone)
    }
    #expect(open.end(Self.folder, Array("b".utf8)) == nil)
  }

  @Test func aListingThatWasGivenUpMakesRoom() {
    var open = OpenListings()
    for name in ["given up", "a", "b", "c"] {
      open.begin(OpenListing(folder: Self.folder, directory: Array(name.utf8)))
    }
    #expect(open.end(Self.folder, Array("given up".utf8)) == nil)
    // Begun again, it hears from then on.
    open.noteGone(Array("a".utf8), of: Self.folder)
    open.begin(OpenListing(folder: Self.folder, directory: Array("a".utf8)))
    #expect(open.end(Self.folder, Array("a".utf8))?.isGone == false)
    for name in ["b", "c"] { #expect(open.end(Self.folder, Array(name.utf8)) != nil) }
  }
}
