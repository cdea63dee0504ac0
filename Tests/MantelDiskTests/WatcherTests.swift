import Glibc
import MantelCore
import Testing

@testable import MantelDisk

@Suite(.timeLimit(.minutes(1))) struct FolderWatcherTests {
  /// Reads events until all that are waited for have come; extra ones are allowed.
  private func expect(
    _ wanted: [(String, WatchEvent.Kind)], from watcher: FolderWatcher,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    var open = wanted.map {
      WatchEvent(folder: FolderID(high: 1, low: 2), path: Array($0.0.utf8), kind: $0.1)
    }
    for await event in watcher.events {
      open.removeAll { $0 == event }
      if open.isEmpty { return }
    }
    Issue.record("the stream ended before \(open)", sourceLocation: sourceLocation)
  }

  @Test func filesAreSettledChangedAndGone() async throws {
    let scratch = try Scratch()
    try scratch.write("old/a.jpg", "a")
    let watcher = try FolderWatcher()
    await watcher.watch(Folder(scratch), ownPaths: [])
    try scratch.write("old/b.jpg", "b")
    await expect([("old/b.jpg", .settled)], from: watcher)
    try scratch.call("old/b.jpg") { from in withName(scratch.path("c.jpg")) { rename(from, $0) } }
    await expect([("old/b.jpg", .gone), ("c.jpg", .settled)], from: watcher)
    try scratch.call("c.jpg") { from in withName(scratch.path("link.jpg")) { link(from, $0) } }
    await expect([("link.jpg", .changed)], from: watcher)
    try scratch.call("old/a.jpg") { unlink($0) }
    await expect([("old/a.jpg", .gone)], from: watcher)
    watcher.close()
    watcher.close()
  }

  @Test func newAndMovedDirectoriesAreCovered() async throws {
    let scratch = try Scratch()
    let outside = try Scratch()
    try outside.write("tree/sub/early.jpg", "early")
    let watcher = try FolderWatcher()
    await watcher.watch(Folder(scratch), ownPaths: [])
    try outside.call("tree") { from in withName(scratch.path("in")) { rename(from, $0) } }
    await expect(
      [("in", .directoryAppeared), ("in/sub", .directoryAppeared), ("in/sub/early.jpg", .changed)],
      from: watcher)
    try scratch.write("in/sub/late.jpg", "late")
    await expect([("in/sub/late.jpg", .settled)], from: watcher)
    // Moved within: events carry the new path from now on.
    try scratch.call("in") { from in withName(scratch.path("moved")) { rename(from, $0) } }
    await expect([("in", .directoryGone), ("moved/sub", .directoryAppeared)], from: watcher)
    try scratch.write("moved/sub/later.jpg", "later")
    await expect([("moved/sub/later.jpg", .settled)], from: watcher)
  }

  @Test func depthBeyondPathMaxIsWatched() async throws {
    let scratch = try Scratch()
    try scratch.makeDirectory(Array(deepPath.dropLast()))
    let watcher = try FolderWatcher()
    await watcher.watch(Folder(scratch), ownPaths: [])
    let path = deepPath + Array("x.jpg".utf8)
    try scratch.write(path, [1])
    await expect([(String(decoding: path, as: UTF8.self), .settled)], from: watcher)
  }

  @Test func excludedAndOwnDirectoriesAreNotWatched() async throws {
    let scratch = try Scratch()
    try scratch.makeDirectory(Array("raw".utf8))
    try scratch.makeDirectory(Array("state".utf8))
    let watcher = try FolderWatcher()
    await watcher.watch(Folder(scratch, excludes: ["raw"]), ownPaths: [scratch.path("state")])
    try scratch.write("raw/x.cr2", "x")
    try scratch.write("state/key", "x")
    try scratch.write("seen.jpg", "x")
    for await event in watcher.events {
      #expect(event.path == Array("seen.jpg".utf8))
      if event.kind == .settled { break }
    }
  }

  @Test func movedRootIsTold() async throws {
    let scratch = try Scratch()
    try scratch.makeDirectory(Array("photos".utf8))
    var folder = Folder(scratch)
    folder.root = scratch.path("photos")
    let watcher = try FolderWatcher()
    await watcher.watch(folder, ownPaths: [])
    try scratch.call("photos") { from in withName(scratch.path("elsewhere")) { rename(from, $0) } }
    await expect([("", .rootGone)], from: watcher)
    await watcher.watch(folder, ownPaths: [])
    await expect([("", .rootGone)], from: watcher)
  }

  @Test func fullQueueTurnsIntoOneOverflow() async throws {
    let queue = WatchQueue(capacity: 2)
    let folder = FolderID(high: 1, low: 2)
    func event(_ name: String, _ kind: WatchEvent.Kind) -> WatchEvent {
      WatchEvent(folder: folder, path: Array(name.utf8), kind: kind)
    }
    for _ in 0..<5 { queue.push(event("a", .changed)) }
    queue.push(event("b", .settled))
    for name in ["c", "d"] { queue.push(event(name, .settled)) }
    #expect(await queue.next() == event("", .overflow))
    #expect(await queue.next() == event("a", .changed))
    queue.push(event("a", .changed))
    #expect(await queue.next() == event("b", .settled))
    #expect(await queue.next() == event("a", .changed))
    queue.close()
    #expect(await queue.next() == nil)
  }

  @Test func closeEndsTheStream() async throws {
    let watcher = try FolderWatcher()
    let reader = Task { for await _ in watcher.events {} }
    watcher.close()
    await reader.value
    let scratch = try Scratch()
    await watcher.watch(Folder(scratch), ownPaths: [])
  }
}
