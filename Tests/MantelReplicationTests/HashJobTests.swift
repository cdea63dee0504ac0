import MantelCore
import Testing

@testable import MantelReplication

/// How files are dealt out to hashing threads.
@Suite struct HashJobTests {
  private let folder = SingleMachine.folderID
  private let other = SingleMachine.peerFolder
  private var settings: ReplicationSettings {
    var settings = ReplicationSettings()
    settings.hashJobFiles = 4
    settings.hashJobBytes = 100
    settings.hashesInFlight = 2
    settings.smallHashesInFlight = 10
    settings.hashBytesInFlight = 1_000
    return settings
  }

  private func ledger(_ sizes: [UInt64], in folders: [FolderID]? = nil) -> Ledger {
    var ledger = Ledger()
    for (number, size) in sizes.enumerated() {
      let key = FileKey(folder: folders?[number] ?? folder, path: bytes("\(number)"))
      ledger.enqueue(key, FileStamp(size: size, mtime: 0, ctime: 0, inode: UInt64(number), device: 0))
    }
    return ledger
  }

  private func jobs(_ ledger: inout Ledger) -> [[String]] {
    var jobs: [[String]] = []
    while let job = ledger.nextHashJob(settings) {
      jobs.append(job.paths.map { String(decoding: $0, as: UTF8.self) })
    }
    return jobs
  }

  /// The macro cannot take a call that changes the ledger.
  private func expect(_ isTrue: Bool, at place: SourceLocation = #_sourceLocation) {
    #expect(isTrue, sourceLocation: place)
  }

  private func end(_ path: String, _ ledger: inout Ledger) -> Bool {
    ledger.endHashing(FileKey(folder: folder, path: bytes(path)))
  }

  @Test func smallFilesGoTogetherInTheirOrder() {
    var ledger = ledger([10, 10, 10, 10, 10, 10])
    expect(jobs(&ledger) == [["0", "1", "2", "3"], ["4", "5"]])
    #expect(ledger.unhashed == 6)
    expect(jobs(&ledger).isEmpty)
  }

  @Test func aJobEndsWithItsBytesAndALargeFileGoesAlone() {
    var ledger = ledger([60, 40, 1, 500, 99])
    expect(jobs(&ledger) == [["0", "1"], ["2"], ["3"], ["4"]])
  }

  @Test func aJobHasTheFilesOfOneFolder() {
    var ledger = ledger([1, 1, 1], in: [folder, other, other])
    expect(jobs(&ledger) == [["0"], ["1", "2"]])
  }

  @Test func noMoreThanSoManyFilesAreGivenOut() {
    var ledger = ledger([UInt64](repeating: 1, count: 30))
    expect(jobs(&ledger).map(\.count) == [4, 4, 4])
    #expect(ledger.hashing.count == 12)
    for number in 0..<4 {
      let isFirst = end("\(number)", &ledger)
      let isAgain = end("\(number)", &ledger)
      #expect(isFirst && !isAgain)
    }
    expect(jobs(&ledger).map(\.count) == [4])
  }

  /// However large the files, every thread has one.
  @Test func largeFilesAreBoundedByTheirBytesAndNeverByNone() {
    var ledger = ledger([5_000, 5_000, 5_000, 1])
    expect(jobs(&ledger) == [["0"], ["1"]])
    let hasEnded = end("0", &ledger)
    #expect(hasEnded)
    expect(jobs(&ledger) == [["2"]])
  }

  /// A file that went while it waited is in no job.
  @Test func whatWentIsPassedOver() {
    var ledger = ledger([1, 1, 1])
    ledger.forget(FileKey(folder: folder, path: bytes("1")))
    expect(jobs(&ledger) == [["0", "2"]])
  }

  @Test func aScanIsHashedInJobsAndPublishedInOneHead() throws {
    let desk = try SingleMachine()
    try desk.pass(.seconds(10))
    _ = desk.take()
    let files = Dictionary(
      uniqueKeysWithValues: (0..<600).map { ("f\($0)", desk.stamp(10, inode: UInt64($0 + 1))) })
    try desk.scan(files)
    var jobs = desk.take().hashJobs
    #expect(jobs.map(\.count) == [256, 256, 88])
    // Nothing of it is in the catalog: a crash would only have them hashed again. Status counts them all the same.
    #expect(try desk.catalog.files(SingleMachine.folderID, after: nil, limit: 1_000).isEmpty)
    #expect(desk.replicator.unwrittenFiles == 600)
    while !jobs.isEmpty {
      let paths = jobs.removeFirst()
      try desk.send(
        .hashed(
          SingleMachine.folderID,
          paths.map { path in
            let name = String(decoding: path, as: UTF8.self)
            let stamp = files[name] ?? .unknown
            return FileHash(
              path,
              .hashed(content: content(name), manifest: nil, before: stamp, after: stamp, isHeld: true))
          }))
      // While others are hashed a head waits for them.
      if !jobs.isEmpty {
        try desk.pass(.milliseconds(300))
        #expect(desk.take().published.isEmpty)
      }
    }
    try desk.pass(.milliseconds(50))
    #expect(desk.take().published.count == 1)
    #expect(desk.head?.counts.live == 600)
    #expect(desk.replicator.unwrittenFiles == 0)
    #expect(try desk.catalog.fileCounts(SingleMachine.folderID).published == 600)
  }

  /// Neither for longer than under load, nor for more changes than make a good head.
  @Test func aHeadDoesNotWaitForEver() throws {
    var settings = ReplicationSettings()
    settings.hashJobFiles = 20
    settings.publishFiles = 50
    let desk = try SingleMachine(settings: settings)
    try desk.pass(.seconds(10))
    let files = Dictionary(
      uniqueKeysWithValues: (0..<200).map { ("f\($0)", desk.stamp(10, inode: UInt64($0 + 1))) })
    try desk.scan(files)
    var jobs = desk.take().hashJobs
    func finish(_ count: Int) throws {
      for paths in jobs.prefix(count) {
        for path in paths {
          let name = String(decoding: path, as: UTF8.self)
          try desk.finishHash(name, content(name), files[name] ?? .unknown)
        }
      }
      jobs.removeFirst(count)
    }
    try finish(1)
    try desk.pass(.milliseconds(1_990))
    #expect(desk.take().published.isEmpty)
    try desk.pass(.milliseconds(20))
    #expect(desk.take().published.count == 1)
    try finish(3)
    #expect(desk.take().published.count == 1)
    #expect(desk.head?.counts.live ?? 0 >= 70)
  }

  /// A large first scan: heads are held back that come too often, not those that carry much; and what is left over at the
  /// end has not to wait for them.
  @Test func fullHeadsAreNotLoad() throws {
    var settings = ReplicationSettings()
    settings.hashJobFiles = 50
    settings.publishFiles = 50
    let desk = try SingleMachine(settings: settings)
    try desk.pass(.seconds(10))
    let files = Dictionary(
      uniqueKeysWithValues: (0..<510).map { ("f\($0)", desk.stamp(10, inode: UInt64($0 + 1))) })
    try desk.scan(files)
    var jobs = desk.take().hashJobs
    while !jobs.isEmpty {
      for path in jobs.removeFirst() {
        let name = String(decoding: path, as: UTF8.self)
        try desk.finishHash(name, content(name), files[name] ?? .unknown)
      }
      try desk.pass(.milliseconds(1))
      jobs += desk.take().hashJobs
    }
    try desk.pass(settings.publishAfterFirst)
    #expect(desk.head?.counts.live == 510)
  }
}
