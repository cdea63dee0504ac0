import Crypto
import Dispatch
import Foundation
import MantelCore
import MantelDisk
import MantelReplication
import MantelTestSupport

/// Reading and hashing files, as a scan does it, beside a plain loop over the same files on as many threads.
///
/// The files are in the page cache: what is compared is the work, not the disk. Syncs, of which a scan needs a few, are part of it.
struct HashingBenchmark {
  let timing: Timing
  let place: URL

  func measure() async throws -> [PartsReport.Row] {
    try await [measure("small", files: 4_000, bytes: 16_000), measure("large", files: 60, bytes: 8 << 20)]
  }

  private func measure(_ name: String, files: Int, bytes: Int) async throws -> PartsReport.Row {
    let folder = place.appending(path: name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var random = SeededGenerator(seed: UInt64(files))
    let names = (0..<files).map { "IMG_\($0).jpg" }
    for name in names {
      let run = (0..<512).map { _ in random.next() }.withUnsafeBytes { Data($0) }
      var data = Data()
      while data.count < bytes { data.append(run) }
      try data.prefix(bytes).write(to: folder.appending(path: name))
    }
    let threads = max(2, ProcessInfo.processInfo.activeProcessorCount)
    let hashing = BlockingPool(threads: threads, queueLimit: files)
    let syncing = BlockingPool(threads: 1, queueLimit: threads)
    let root = Array(folder.path.utf8)
    let hasher = OwnFileHasher(hashing: hashing, syncing: syncing)
    let seconds = try await timing.medians([
      { try await Self.hash(names, bytes: bytes, root: root, hasher) },
      { try Self.hashPlainly(names, folder, isInBlocks: bytes > Limits.wholeUnitBytes, threads: threads) },
    ])
    try await hashing.close()
    try await syncing.close()
    return PartsReport.Row(
      work: "hashing \(files) \(name) files of \(bytes) bytes", amount: files * bytes, unit: "bytes",
      seconds: seconds[0], plain: "the same hashes in a plain loop", plainSeconds: seconds[1])
  }

  /// Jobs as large as the agent makes them, several at once.
  private static func hash(_ names: [String], bytes: Int, root: [UInt8], _ hasher: OwnFileHasher) async throws
  {
    let settings = ReplicationSettings()
    let job = min(settings.hashJobFiles, max(1, Int(settings.hashJobBytes) / bytes))
    try await withThrowingTaskGroup { group in
      for start in stride(from: 0, to: names.count, by: job) {
        let paths = names[start..<min(names.count, start + job)].map { Array($0.utf8) }
        group.addTask {
          for result in try await hasher.hash(root: root, paths: paths, shouldContinue: { true }) {
            _ = try result.get()
          }
        }
      }
      try await group.waitForAll()
    }
  }

  /// The content's hash, and of a large one those of its blocks.
  private static func hashPlainly(_ names: [String], _ folder: URL, isInBlocks: Bool, threads: Int) throws {
    let failures = LockedCount()
    DispatchQueue.concurrentPerform(iterations: threads) { thread in
      for index in stride(from: thread, to: names.count, by: threads) {
        guard let handle = FileHandle(forReadingAtPath: folder.appending(path: names[index]).path) else {
          failures.add()
          continue
        }
        var hasher = SHA256()
        var blocks: [SHA256.Digest] = []
        while let data = try? handle.read(upToCount: Limits.blockBytes), !data.isEmpty {
          hasher.update(data: data)
          if isInBlocks { blocks.append(SHA256.hash(data: data)) }
        }
        let whole = hasher.finalize()
        if isInBlocks, blocks.isEmpty || blocks.contains(whole) { failures.add() }
      }
    }
    guard failures.count == 0 else { throw BenchmarkError(description: "files could not be read") }
  }
}
