/// What went wrong with a request, in words for the person who made it.
package struct ControlError: Error, Codable, Hashable, Sendable, CustomStringConvertible {
  package enum Code: String, Codable, Sendable {
    /// No agent answers on the socket.
    case notRunning
    /// The request cannot be understood, or names what is not there.
    case usage
    case notFound
    /// It contradicts what is there: a folder that overlaps another, a name that is taken.
    case conflict
    case internalError
  }
  package var code: Code
  /// One sentence: what happened, and what to do next.
  package var message: String

  package init(code: Code, message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}

/// What the agent does for the command line and the gallery. MantelAgent implements it, MantelGallery serves it
/// as HTTP and JSON on the agent's Unix socket, `ControlClient` is the same protocol from the other side.
package protocol ControlService: Sendable {
  /// With `wait`: rescans first, and answers when everything is settled and proved everywhere, at most so many seconds later.
  func status(wait: Int?) async throws(ControlError) -> StatusAnswer
  /// `isPinging`: each connection is measured by a ping first.
  func peers(isPinging: Bool) async throws(ControlError) -> PeersAnswer
  func invite(seconds: Int) async throws(ControlError) -> InviteAnswer
  func addPeer(address: String) async throws(ControlError)
  func removePeer(name: String) async throws(ControlError) -> RemovalAnswer
  /// Lets a library grow by more than goes without a question.
  func acceptPeer(name: String) async throws(ControlError) -> AcceptAnswer
  func folders() async throws(ControlError) -> [FolderAnswer]
  func addFolder(_ request: FolderRequest) async throws(ControlError) -> FolderAnswer
  func removeFolder(name: String) async throws(ControlError) -> FolderAnswer
  /// Publishes what a mass change holds of a folder.
  func acceptFolder(name: String) async throws(ControlError) -> AcceptAnswer
  func files(_ query: FilesQuery) async throws(ControlError) -> Page<FileAnswer>
  func locate(_ query: WhereQuery) async throws(ControlError) -> WhereAnswer
  func skipped(after: String?) async throws(ControlError) -> Page<SkippedAnswer>
  func sums(machine: String?, after: String?) async throws(ControlError) -> Page<SumAnswer>
  /// A page may be empty and still have a next one: it looked through a part of the libraries.
  func atRisk(machine: String?, after: String?) async throws(ControlError) -> Page<FileAnswer>
  func startJob(_ request: JobRequest) async throws(ControlError) -> JobStart
  /// What is new since `after` (0 at first); waits up to `wait` seconds for something to be.
  func job(id: String, after: Int, wait: Int) async throws(ControlError) -> JobAnswer
  func cancelJob(id: String) async throws(ControlError) -> JobAnswer
  /// Begins to re-read; while one verification runs, answers how far that one is.
  func startVerify(_ query: VerifyQuery) async throws(ControlError) -> VerifyAnswer
  /// Also tells the agent that somebody still wants to know.
  func verifyProgress() async throws(ControlError) -> VerifyAnswer
  func stopVerify() async throws(ControlError) -> VerifyAnswer
  func badFiles(after: String?) async throws(ControlError) -> Page<BadFileAnswer>
  /// Changes what this machine keeps for the others, or tells what that would mean.
  func changeRole(_ query: RoleQuery) async throws(ControlError) -> RoleAnswer
  /// Leaves the household for ever, or tells what that would mean.
  func leave(_ query: LeaveQuery) async throws(ControlError) -> LeaveAnswer
  func releasePreview() async throws(ControlError) -> ReleasePreviewAnswer
  /// Begins to let go of copies that are not owed; while one release runs, answers how far that one is.
  func startRelease() async throws(ControlError) -> ReleaseAnswer
  /// Also tells the agent that somebody still wants it.
  func releaseProgress() async throws(ControlError) -> ReleaseAnswer
  func stopRelease() async throws(ControlError) -> ReleaseAnswer
  /// Drops photos of the own library, takes that back, or tells what it would be.
  func forget(_ query: ForgetQuery) async throws(ControlError) -> ForgetAnswer
  /// What other machines' users ask this one's to forget.
  func forgetRequests() async throws(ControlError) -> [ForgetRequestAnswer]
  func decide(_ decision: ForgetDecision) async throws(ControlError) -> AcceptAnswer
  /// What other machines dropped and waits for a decision here.
  func drops() async throws(ControlError) -> [DropsAnswer]
  /// Lets go of it, or keeps it for good.
  func decide(_ decision: DropDecision) async throws(ControlError) -> AcceptAnswer
  /// `status` says nothing more of files that were bad and are healed, nor of photos that are lost.
  func acknowledgeBadFiles() async throws(ControlError)
}
