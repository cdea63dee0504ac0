import Foundation
import MantelControl
import MantelTestSupport

/// One size: a machine with a library of so many photos, and a second one that joins it.
struct GrowthRun {
  let photos: Int
  let owner: GrowthAgent
  let newcomer: GrowthAgent
  /// How long nothing is done while what idling costs is counted.
  let idle: Duration

  /// One photo is new later: a library that grows by more than a million within a day waits for its user's word.
  private var entries: Int { photos - 1 }

  /// Between two looks at memory.
  private static let look: Duration = .milliseconds(200)
  /// The link is quiet when less than this has left the owner within `calm`: what cannot be had is asked for once.
  private static let quietBytes = 20_000
  private static let calm: Duration = .seconds(10)

  func measure() async throws -> GrowthReport {
    var report = GrowthReport(photos: photos)
    try await owner.initialise()
    GrowthCommand.say("\(photos): making the library ...")
    try SyntheticLibrary(photos: entries).write(into: owner.home)
    sync()
    GrowthCommand.say("\(photos): the agent alone ...")
    var (process, seconds) = try await owner.start()
    report.startSeconds = seconds
    report.aloneBytes = try await ProcessFigures(owner.machine).anonymousBytes
    try await measureQuestions(&report)
    report.askedBytes = try await ProcessFigures(owner.machine).anonymousBytes
    GrowthCommand.say("\(photos): a second machine joins ...")
    try await measureFirstSync(&report)
    try await measureNewPhoto(&report)
    GrowthCommand.say("\(photos): idle ...")
    try await measureIdle(&report)
    GrowthCommand.say("\(photos): again ...")
    try await process.stop()
    (process, report.restartSeconds) = try await owner.start()
    let watch = Stopwatch()
    try await eventually(within: GrowthAgent.patience, "the two are connected again") {
      try await owner.isConnected()
    }
    report.reconnectSeconds = watch.seconds
    return report
  }

  /// What a user asks for most, at the agent.
  private func measureQuestions(_ report: inout GrowthReport) async throws {
    var watch = Stopwatch()
    _ = try await owner.control.status(wait: nil)
    report.statusSeconds = watch.seconds
    watch = Stopwatch()
    _ = try await owner.control.files(FilesQuery(pattern: nil, machine: nil, retired: false, after: nil))
    report.listPageSeconds = watch.seconds
    watch = Stopwatch()
    _ = try await owner.control.peers()
    report.peersSeconds = watch.seconds
  }

  /// Until the newcomer knows of every photo that it lacks. No content can be had: nobody has one.
  private func measureFirstSync(_ report: inout GrowthReport) async throws {
    try await newcomer.join(through: owner)
    _ = try await newcomer.start()
    let watch = Stopwatch()
    while true {
      report.ownerPeakBytes = max(
        report.ownerPeakBytes, try await ProcessFigures(owner.machine).anonymousBytes)
      report.newcomerPeakBytes = max(
        report.newcomerPeakBytes, try await ProcessFigures(newcomer.machine).anonymousBytes)
      if let status = try await newcomer.status(), status.missing.files == entries { break }
      guard watch.seconds < GrowthAgent.patience / .seconds(1) else {
        throw GrowthError("the library did not come over:\n\(newcomer.log)")
      }
      try await ContinuousClock().sleep(for: Self.look)
    }
    report.firstSyncSeconds = watch.seconds
    GrowthCommand.say("\(photos): known after \(Int(report.firstSyncSeconds)) s, a new photo ...")
  }

  /// From its last byte to its copy on the other machine, durable; the folder is watched, nothing is asked for.
  private func measureNewPhoto(_ report: inout GrowthReport) async throws {
    let directory = "\(owner.home)/new"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    _ = try await owner.control.addFolder(
      FolderRequest(
        directoryBase64: Data(directory.utf8).base64EncodedString(), name: nil, excludes: []))
    try await eventually("the new folder is watched") {
      try await owner.status()?.reasons.contains { $0.code == "scanning" } == false
    }
    var random = SeededGenerator(seed: 7)
    var bytes = Data()
    while bytes.count < 3_000_000 { withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) } }
    let watch = Stopwatch()
    try bytes.write(to: URL(filePath: "\(directory)/IMG_1.jpg"))
    let copy = "\(newcomer.home)/Mantel/\(owner.machine.name)/new/IMG_1.jpg"
    try await eventually(within: GrowthAgent.patience, "the new photo is at \(copy)") {
      FileManager.default.fileExists(atPath: copy)
    }
    report.newPhotoSeconds = watch.seconds
  }

  private func measureIdle(_ report: inout GrowthReport) async throws {
    let clock = ContinuousClock()
    let end = Stopwatch()
    while true {
      let sent = try await owner.machine.linkBytes().sent
      try await clock.sleep(for: Self.calm)
      if try await owner.machine.linkBytes().sent - sent < Self.quietBytes { break }
      guard end.seconds < GrowthAgent.patience / .seconds(1) else {
        throw GrowthError("the two never come to rest:\n\(newcomer.log)")
      }
    }
    report.quietSeconds = end.seconds - Self.calm / .seconds(1)
    let (before, sent) = (try await ProcessFigures(owner.machine), try await owner.machine.linkBytes().sent)
    let watch = Stopwatch()
    try await clock.sleep(for: idle)
    let (after, sentAfter) = (
      try await ProcessFigures(owner.machine), try await owner.machine.linkBytes().sent
    )
    let seconds = watch.seconds
    report.idleBytes = after.anonymousBytes
    report.idleProcessorShare = (after.processorSeconds - before.processorSeconds) / seconds
    report.idleWakeupsPerSecond = Double(after.wakeups - before.wakeups) / seconds
    report.idleBytesPerSecond = Double(sentAfter - sent) / seconds
  }
}
