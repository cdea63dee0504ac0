package import MantelControl
import Synchronization

/// A `ControlService` without an agent: gives the answers that it was made with, and remembers what it was asked.
package final class FakeControl: ControlService {
  package struct Answers: Sendable {
    package var status = Samples.status()
    package var peers = PeersAnswer(peers: [Samples.peer()], strangers: [], removed: [], fixedAddresses: [])
    package var invite = InviteAnswer(
      code: "1P77-HVFD-R34A-DQZT", expires: "2026-05-01T12:10:00Z", addresses: ["192.0.2.2:62683"])
    package var folder = Samples.folder()
    package var acceptance = AcceptAnswer(name: "Photos", accepted: 120)
    package var removal = RemovalAnswer(kind: "machine", name: "laptop", admitted: ["studio"])
    package var files = [Page(items: [Samples.file()], next: nil)]
    package var whereabouts = WhereAnswer(
      sha256: Samples.sha256, size: 461_000, names: [Samples.file()], holders: [])
    package var skipped = [Page(items: [Samples.skipped()], next: nil)]
    package var sums = [Page(items: [Samples.sum("/r/a.jpg")], next: nil)]
    package var atRisk = [Page(items: [Samples.file()], next: nil)]
    /// Asked in turn, before the job begins.
    package var question: String?
    /// Answers to polls: the one that follows the given `next`; the last again and again.
    package var job = [Samples.job()]
    /// The last one is given again and again.
    package var verify = [Samples.verify()]
    package var forget = Samples.forget()
    package var forgetRequests = [
      ForgetRequestAnswer(
        machine: "laptop", id: "abcdef01" + String(repeating: "0", count: 56),
        photos: FileCount(files: 2, bytes: 3_000_000),
        examples: [PathText(path: "attic/Photos/a.jpg", pathBase64: nil)], consent: "2 photos")
    ]
    package var drops = [
      DropsAnswer(
        machine: "laptop", id: "abcdef01" + String(repeating: "0", count: 56),
        copies: FileCount(files: 12, bytes: 5_000_000), consent: "12 copies")
    ]
    package var role = Samples.role()
    package var leave = Samples.leave()
    package var releasePreview = Samples.releasePreview()
    /// The last one is given again and again.
    package var release = [Samples.release()]
    package var badFiles = [Page(items: [Samples.badFile()], next: nil)]
    /// Thrown by every call instead of an answer.
    package var error: ControlError?
    /// `status(wait:)` with a number answers only when its task is cancelled.
    package var waitsForever = false

    package init() {}
  }

  package let answers: Answers
  private let recorded = Mutex<[String]>([])

  package init(_ change: (inout Answers) -> Void = { _ in }) {
    var answers = Answers()
    change(&answers)
    self.answers = answers
  }

  /// What was asked, in order, with its arguments.
  package var calls: [String] { recorded.withLock { $0 } }

  private func answer<Value>(_ value: Value, to call: String) throws(ControlError) -> Value {
    recorded.withLock { $0.append(call) }
    if let error = answers.error { throw error }
    return value
  }

  /// The page that follows the one whose `next` was `after`.
  private func page<Item>(_ pages: [Page<Item>], after: String?) -> Page<Item> {
    guard let after else { return pages.first ?? Page(items: [], next: nil) }
    let index = pages.firstIndex { $0.next == after }.map { $0 + 1 } ?? pages.count
    return index < pages.count ? pages[index] : Page(items: [], next: nil)
  }

  package func status(wait: Int?) async throws(ControlError) -> StatusAnswer {
    let answer = try answer(answers.status, to: "status \(wait.map(String.init) ?? "-")")
    if wait != nil, answers.waitsForever {
      let (stream, continuation) = AsyncStream<Never>.makeStream()
      for await _ in stream {}
      continuation.finish()
    }
    return answer
  }
  package func peers(isPinging: Bool) async throws(ControlError) -> PeersAnswer {
    try answer(answers.peers, to: isPinging ? "peers ping" : "peers")
  }
  package func invite(seconds: Int) async throws(ControlError) -> InviteAnswer {
    try answer(answers.invite, to: "invite \(seconds)")
  }
  package func addPeer(address: String) async throws(ControlError) {
    try answer((), to: "addPeer \(address)")
  }
  package func removePeer(name: String) async throws(ControlError) -> RemovalAnswer {
    try answer(answers.removal, to: "removePeer \(name)")
  }
  package func acceptPeer(name: String) async throws(ControlError) -> AcceptAnswer {
    try answer(answers.acceptance, to: "acceptPeer \(name)")
  }
  package func folders() async throws(ControlError) -> [FolderAnswer] {
    try answer([answers.folder], to: "folders")
  }
  package func addFolder(_ request: FolderRequest) async throws(ControlError) -> FolderAnswer {
    try answer(
      answers.folder,
      to: "addFolder \(request.directoryBase64) \(request.name ?? "-") \(request.excludes)")
  }
  package func removeFolder(name: String) async throws(ControlError) -> FolderAnswer {
    try answer(answers.folder, to: "removeFolder \(name)")
  }
  package func acceptFolder(name: String) async throws(ControlError) -> AcceptAnswer {
    try answer(answers.acceptance, to: "acceptFolder \(name)")
  }
  package func files(_ query: FilesQuery) async throws(ControlError) -> Page<FileAnswer> {
    try answer(
      page(answers.files, after: query.after),
      to: "files \(query.pattern ?? "-") \(query.machine ?? "-") \(query.retired) \(query.after ?? "-")")
  }
  package func locate(_ query: WhereQuery) async throws(ControlError) -> WhereAnswer {
    try answer(answers.whereabouts, to: "locate \(query.sha256 ?? "-") \(query.fileBase64 ?? "-")")
  }
  package func skipped(after: String?) async throws(ControlError) -> Page<SkippedAnswer> {
    try answer(page(answers.skipped, after: after), to: "skipped \(after ?? "-")")
  }
  package func startVerify(_ query: VerifyQuery) async throws(ControlError) -> VerifyAnswer {
    try answer(answers.verify[0], to: "startVerify \(query.all) \(query.machine ?? "-")")
  }
  package func verifyProgress() async throws(ControlError) -> VerifyAnswer {
    let asked = calls.count { $0 == "verifyProgress" } + 1
    return try answer(answers.verify[min(asked, answers.verify.count - 1)], to: "verifyProgress")
  }
  package func stopVerify() async throws(ControlError) -> VerifyAnswer {
    try answer(answers.verify[answers.verify.count - 1], to: "stopVerify")
  }
  package func badFiles(after: String?) async throws(ControlError) -> Page<BadFileAnswer> {
    try answer(page(answers.badFiles, after: after), to: "badFiles \(after ?? "-")")
  }
  package func changeRole(_ query: RoleQuery) async throws(ControlError) -> RoleAnswer {
    var given = try answer(answers.role, to: "role \(query.role) \(query.dryRun ? "dry" : "-")")
    given.role = query.role
    given.dryRun = query.dryRun
    return given
  }
  package func leave(_ query: LeaveQuery) async throws(ControlError) -> LeaveAnswer {
    var given = try answer(answers.leave, to: "leave \(query.dryRun ? "dry" : "-")")
    given.dryRun = query.dryRun
    return given
  }
  package func releasePreview() async throws(ControlError) -> ReleasePreviewAnswer {
    try answer(answers.releasePreview, to: "releasePreview")
  }
  package func startRelease() async throws(ControlError) -> ReleaseAnswer {
    try answer(answers.release[0], to: "startRelease")
  }
  package func releaseProgress() async throws(ControlError) -> ReleaseAnswer {
    let asked = calls.count { $0 == "releaseProgress" } + 1
    return try answer(answers.release[min(asked, answers.release.count - 1)], to: "releaseProgress")
  }
  package func stopRelease() async throws(ControlError) -> ReleaseAnswer {
    try answer(answers.release[answers.release.count - 1], to: "stopRelease")
  }
  package func forget(_ query: ForgetQuery) async throws(ControlError) -> ForgetAnswer {
    var given = try answer(
      answers.forget,
      to:
        "forget \(query.pattern) \(query.undo ? "undo" : "-") \(query.dryRun ? "dry" : query.consent ?? "-")"
    )
    given.undo = query.undo
    given.dryRun = query.dryRun
    return given
  }
  package func forgetRequests() async throws(ControlError) -> [ForgetRequestAnswer] {
    try answer(answers.forgetRequests, to: "forgetRequests")
  }
  package func decide(_ decision: ForgetDecision) async throws(ControlError) -> AcceptAnswer {
    try answer(
      AcceptAnswer(name: "laptop", accepted: decision.grant ? 2 : 0),
      to: "decide \(decision.machine.prefix(8)) \(decision.grant) \(decision.consent ?? "-")")
  }
  package func drops() async throws(ControlError) -> [DropsAnswer] { try answer(answers.drops, to: "drops") }
  package func decide(_ decision: DropDecision) async throws(ControlError) -> AcceptAnswer {
    try answer(
      AcceptAnswer(name: "laptop", accepted: 12),
      to: "drops \(decision.machine.prefix(8)) \(decision.accept) \(decision.consent ?? "-")")
  }
  package func acknowledgeBadFiles() async throws(ControlError) {
    try answer((), to: "acknowledgeBadFiles")
  }
  package func sums(machine: String?, after: String?) async throws(ControlError) -> Page<SumAnswer> {
    try answer(page(answers.sums, after: after), to: "sums \(machine ?? "-") \(after ?? "-")")
  }
  package func atRisk(machine: String?, after: String?) async throws(ControlError) -> Page<FileAnswer> {
    try answer(page(answers.atRisk, after: after), to: "atRisk \(machine ?? "-") \(after ?? "-")")
  }
  package func startJob(_ request: JobRequest) async throws(ControlError) -> JobStart {
    let isAsked = answers.question != nil && request.restore?.mayWriteIntoFolder == false
    return try answer(
      JobStart(id: isAsked ? nil : "7", question: isAsked ? answers.question : nil), to: Self.text(request))
  }
  package func job(id: String, after: Int, wait: Int) async throws(ControlError) -> JobAnswer {
    let index =
      after == 0 ? 0 : answers.job.firstIndex { $0.next == after }.map { $0 + 1 } ?? answers.job.count
    return try answer(answers.job[min(index, answers.job.count - 1)], to: "job \(id) \(after)")
  }
  package func cancelJob(id: String) async throws(ControlError) -> JobAnswer {
    try answer(answers.job[answers.job.count - 1], to: "cancelJob \(id)")
  }

  private static func text(_ request: JobRequest) -> String {
    if let restore = request.restore {
      return
        "restore \(restore.pattern ?? "-") \(restore.machine ?? "-") \(restore.directoryBase64) \(restore.retired)"
        + " \(restore.asOf ?? "-") \(restore.dryRun) \(restore.mayWriteIntoFolder)"
    }
    if let check = request.check { return "check \(check.directoryBase64)" }
    return "drill \(request.drill.map { String($0.photos) } ?? "-")"
  }
}
