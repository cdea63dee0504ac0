import Logging
import MantelCore
import MantelHousehold
import MantelTransport
import Synchronization
import Testing

@testable import MantelAgent

@Suite(.timeLimit(.minutes(1))) struct InvitationsTests {
  private static let lifetime: Duration = .seconds(600)

  @Test func theRightCodeAdmitsOneMachine() async throws {
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    #expect(scene.invitations.isOpen)
    let statements = try await scene.join(code)
    #expect(scene.standing == .member)
    #expect(Roster(statements).hash == scene.household.roster.hash)
    #expect(!scene.invitations.isOpen)
    // It is told for a while that the code is spent, then there is no invite.
    await #expect(throws: JoinError.alreadyUsed) { try await scene.join(code) }
    scene.pass(Self.lifetime + CurrentInvite.afterlife)
    #expect(!scene.invitations.answersNewcomers)
    await #expect(throws: JoinError.noInvite) { try await scene.join(code) }
  }

  @Test func eachRefusalSaysWhy() async throws {
    let scene = try JoinScene()
    #expect(!scene.invitations.answersNewcomers)
    await #expect(throws: JoinError.noInvite) { try await scene.join(InviteCode(random: Array(0..<16))) }
    let void = scene.invitations.open(lifetime: Self.lifetime)
    let code = scene.invitations.open(lifetime: Self.lifetime)
    await #expect(throws: JoinError.wrongCode) { try await scene.join(void) }
    #expect(scene.invitations.isOpen, "a wrong code burns nothing")
    scene.pass(Self.lifetime)
    #expect(!scene.invitations.isOpen && scene.invitations.answersNewcomers)
    await #expect(throws: JoinError.expired) { try await scene.join(code) }
    #expect(scene.household.roster.statements.count == 1)
    let texts = JoinError.allCases.map(JoinMessages.text)
    // Two of them ask for the same.
    #expect(Set(texts).count == texts.count - 1)
  }

  @Test func aRequestThatIsRefusedCostsNoCode() async throws {
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    await #expect(throws: JoinError.unknownReplaced) { try await scene.join(code, replaces: "typo") }
    #expect(scene.invitations.isOpen && scene.standing == .stranger)
    _ = try await scene.join(code)
    #expect(scene.standing == .member)
  }

  @Test func whoReplacesAMachineKeepsItsLibraryAndEndsItsMembership() async throws {
    let scene = try JoinScene()
    let former = DeviceKey()
    let roster = scene.household.roster
    let admission = try roster.admitting(
      subject: former.machine, publicKey: former.publicKey, name: "ben", replaces: nil,
      by: scene.household.key,
      now: WallTime(nanoseconds: 1))
    _ = await scene.household.learn(admission)
    _ = await scene.household.learn(
      try scene.household.roster.accepting(by: former, now: WallTime(nanoseconds: 1)))
    #expect(scene.household.roster.isMember(former.machine))
    _ = try await scene.join(scene.invitations.open(lifetime: Self.lifetime), replaces: "ben")
    #expect(scene.household.roster.removedMember(former.machine)?.keeper == scene.newcomer.machine)
    #expect(scene.standing == .member)
  }

  @Test func aVoidCodeAdmitsNobodyThoughItsConversationBeganBefore() async throws {
    let scene = try JoinScene()
    let void = scene.invitations.open(lifetime: Self.lifetime)
    let current = Mutex<InviteCode?>(nil)
    await #expect(throws: JoinError.wrongCode) {
      try await scene.join(
        void,
        preparing: { _, newcomer in
          newcomer.beforeSending.withLock {
            // The user runs `mantel invite` again between OFFER and PROOF.
            $0 = { message throws(TransportError) in
              if message[1] == 2 {
                let code = scene.invitations.open(lifetime: Self.lifetime)
                current.withLock { $0 = code }
              }
            }
          }
        })
    }
    #expect(scene.standing == .stranger)
    #expect(scene.invitations.isOpen, "the new invite is not burnt")
    _ = try await scene.join(try #require(current.withLock { $0 }))
    #expect(scene.standing == .member)
  }

  // MARK: Admitted, and not joined

  @Test func whoDeclinesLeavesNothingBehind() async throws {
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    await #expect(throws: JoinError.declined) { try await scene.join(code, agrees: false) }
    #expect(scene.standing == .turnedAway)
    #expect(scene.household.roster.admitted.isEmpty && scene.household.roster.removed.isEmpty)
  }

  @Test func whoCannotStoreLeavesNothingBehind() async throws {
    struct DiskIsFull: Error {}
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    await #expect(throws: DiskIsFull.self) {
      try await scene.join(code, storing: { _ in throw DiskIsFull() })
    }
    #expect(scene.standing == .turnedAway)
  }

  @Test func whoHangsUpAtTheQuestionLeavesNothingBehind() async throws {
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    try await scene.meet { pipe in
      _ = try await scene.joining(code).prove(on: pipe)
      #expect(scene.standing == .admitted)
    }
    #expect(scene.standing == .turnedAway)
  }

  @Test func aFinishThatCannotBeSentIsNoJoining() async throws {
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    let error = await #expect(throws: TransportError.self) {
      try await scene.join(
        code,
        preparing: { _, newcomer in
          newcomer.beforeSending.withLock {
            $0 = { message throws(TransportError) in
              if message[1] == 4 { throw TransportError(.connectionClosed, "cut") }
            }
          }
        })
    }
    #expect(error?.code == .connectionClosed)
    #expect(scene.standing == .turnedAway)
  }

  @Test func whoOnlyKeepsSilentMayStillComeAsAGuest() async throws {
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    _ = try await scene.meet({ inviter, _ in
      inviter.impatience.withLock { $0 = TransportError(.timeout, "no answer") }
    }) { try await scene.joining(code).prove(on: $0) }
    #expect(scene.standing == .admitted)
  }

  @Test func anAgentThatEndsTakesNothingBack() async throws {
    let scene = try JoinScene()
    let code = scene.invitations.open(lifetime: Self.lifetime)
    try await scene.meet { pipe in
      _ = try await scene.joining(code).prove(on: pipe)
      scene.invitations.stop()
    }
    #expect(scene.standing == .admitted)
  }

  // MARK: The log

  @Test func aNameCannotForgeLinesOfTheLog() async throws {
    let log = LogRecorder()
    let scene = try JoinScene(logger: Logger(label: "test") { _ in log })
    let code = scene.invitations.open(lifetime: Self.lifetime)
    try await scene.meet { pipe in
      let joining = scene.joining(code, name: "ben\n\u{1b}[31mERROR")
      _ = try await joining.settle(try await joining.prove(on: pipe), confirm: { _, _ in true }) { _ in }
    }
    #expect(log.text.contains("ben\\n\\x1b[31mERROR"))
    #expect(!log.text.contains("\u{1b}"))
  }
}

/// Keeps what was logged.
private final class LogRecorder: LogHandler {
  private let lines = Mutex<[String]>([])
  var text: String { lines.withLock { $0.joined(separator: "\n") } }
  var metadata: Logger.Metadata {
    get { [:] }
    set { _ = newValue }
  }
  var logLevel: Logger.Level {
    get { .trace }
    set { _ = newValue }
  }
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { nil }
    set { _ = newValue }
  }

  func log(event: LogEvent) {
    lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
  }
}
