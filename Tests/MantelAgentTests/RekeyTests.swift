import Foundation
import MantelCatalog
import MantelCore
import MantelDisk
import MantelHousehold
import MantelTransport
import Synchronization
import Testing

@testable import MantelAgent

@Suite(.timeLimit(.minutes(1))) struct RekeyTests {
  private let scene: JoinScene
  private let ben: InstalledHome

  init() async throws {
    scene = try JoinScene()
    ben = try await InstalledHome(memberOf: scene.household)
  }

  private func invite() -> InviteCode { scene.invitations.open(lifetime: .seconds(600)) }

  /// The command, with the inviter at the other end of a pipe; returns when both sides are done.
  @discardableResult private func rekey(
    _ code: InviteCode, through inviter: JoinScene? = nil, agrees: Bool = true,
    preparing prepare: (MemoryPipe) -> Void = { _ in }
  ) async throws -> Rekey.Result {
    let inviter = inviter ?? scene
    var inviting: Task<Void, Never>?
    let result: Result<Rekey.Result, any Error>
    do {
      result = .success(
        try await Rekey.run(
          home: ben.home, name: nil, code: code.display, logger: InstalledHome.logger, progress: { _ in },
          confirm: { _, _ in agrees }
        ) { joining in
          let pipes = MemoryPipe.pair(inviter.household.key, joining.key)
          prepare(pipes.newcomer)
          inviting = Task { [invitations = inviter.invitations] in
            await invitations.join(pipes.inviter)
            await pipes.inviter.close()
          }
          return try await joining.prove(on: pipes.newcomer)
        })
    } catch { result = .failure(error) }
    await inviting?.value
    return try result.get()
  }

  private func expectUnchanged(_ why: Comment) throws {
    #expect(try ben.machine == ben.key.machine, why)
    #expect(try ben.owner(of: ben.replica) == ben.key.machine, why)
    #expect(try ben.text(.machineName) == "ben", why)
    #expect(!ben.exists(ben.home.rekeyJournalPath) && !ben.exists(ben.home.keyPath + ".next"), why)
    #expect(scene.household.roster.members.map(\.name) == ["anna", "ben"], why)
  }

  private func expectRekeyed(_ result: Rekey.Result) throws {
    #expect(result.machine == "ben-2" && result.formerID == ben.key.machine.hex && result.household == "home")
    let machine = try ben.machine
    #expect(machine != ben.key.machine && machine.hex == result.machineID)
    #expect(try DeviceKey.load(from: result.formerKey).machine == ben.key.machine)
    #expect(try ben.owner(of: ben.replica) == machine)
    #expect(try ben.text(.machineName) == "ben-2")
    #expect(try ben.withCatalog { try $0.value(.ownEpoch) } == [0, 0, 0, 0, 0, 0, 0, 1])
    let stored = Roster(
      stored: try ben.withCatalog { try $0.statements() }.map { try SignedStatement(bytes: $0) })
    #expect(stored.isMember(machine) && stored.isMember(ben.key.machine))
    #expect(!ben.exists(ben.home.rekeyJournalPath) && !ben.exists(ben.home.keyPath + ".next"))
  }

  // MARK: Whole

  @Test func theInstallationBecomesAMachineOfItsOwn() async throws {
    let folder = try ben.addFolder("Photos")
    try ben.write("\(ben.replica)/anna/Photos/a.jpg", [1, 2, 3])
    try expectRekeyed(try await rekey(invite()))
    #expect(scene.household.roster.members.map(\.name) == ["anna", "ben", "ben-2"])
    #expect(try ben.withCatalog { try $0.folders() } == [folder])
    #expect(ben.exists("\(ben.replica)/anna/Photos/a.jpg"))
    // As often as somebody likes.
    let second = try await rekey(invite())
    #expect(try second.machine == "ben-2-2" && ben.machine.hex == second.machineID)
  }

  /// The way back: folders, copies and catalog are there still.
  @Test func whoHasLeftComesBackAsAnotherMachine() async throws {
    let folder = try ben.addFolder("Photos")
    let removal = try scene.household.roster.removing(
      ben.key.machine, lastHead: .none, lastRoot: .zero, by: ben.key, now: WallTime(nanoseconds: 3))
    #expect(await scene.household.learn(removal))
    try ben.withCatalog { try $0.addStatements([(removal.id, removal.bytes)]) }
    let result = try await rekey(invite())
    #expect(scene.household.roster.members.map(\.name) == ["anna", "ben-2"])
    #expect(try ben.machine.hex == result.machineID)
    #expect(try ben.withCatalog { try $0.folders() } == [folder])
  }

  @Test func whoDeclinesStaysWhatItWas() async throws {
    await #expect(throws: AgentError.self) { try await rekey(invite(), agrees: false) }
    try expectUnchanged("declined")
    try expectRekeyed(try await rekey(invite()))
  }

  @Test func aWrongCodeChangesNothing() async throws {
    _ = invite()
    await #expect(throws: AgentError.self) { try await rekey(InviteCode(random: [UInt8](0..<15))) }
    try expectUnchanged("a wrong code")
  }

  @Test func theCodeOfAnotherHouseholdIsRefused() async throws {
    let other = try JoinScene()
    await #expect(throws: AgentError.self) {
      try await rekey(other.invitations.open(lifetime: .seconds(600)), through: other)
    }
    try expectUnchanged("another household")
    #expect(other.household.roster.members.count == 1)
  }

  @Test func withoutItsReplicaNothingBegins() async throws {
    try FileManager.default.moveItem(atPath: ben.replica, toPath: ben.replica + " away")
    await #expect(throws: DiskError.self) { try await rekey(invite()) }
    try FileManager.default.moveItem(atPath: ben.replica + " away", toPath: ben.replica)
    try expectUnchanged("no replica")
    #expect(scene.invitations.isOpen, "the code is not spent")
  }

  // MARK: Cut off

  @Test func anAcceptanceThatCannotBeSentChangesNothing() async throws {
    let journals = Mutex<[RekeyJournal?]>([])
    let home = ben.home
    await #expect(throws: AgentError.self) {
      try await rekey(invite()) { pipe in
        pipe.beforeSending.withLock {
          $0 = { _ throws(TransportError) in
            let count = journals.withLock {
              $0.append(try? RekeyJournal.read(home))
              return $0.count
            }
            // The proof, then the acceptance.
            if count == 2 { throw TransportError(.connectionClosed, "closed") }
          }
        }
      }
    }
    try expectUnchanged("the acceptance is lost")
    // It was there before the acceptance was sent: a crash from then on leaves no member that nobody is.
    let written = journals.withLock { $0 }
    #expect(written.prefix(2).map { $0?.name } == [nil, "ben-2"])
    #expect(written[1].map { Roster($0.statements).isMember($0.machine) } == true)
  }

  /// As the moment leaves it in which the acceptance was sent.
  private func cutOff() async throws -> RekeyJournal {
    let key = try DeviceKey.create(at: ben.home.keyPath + ".next")
    let now = WallTime(nanoseconds: 5)
    var roster = scene.household.roster
    let admission = try roster.admitting(
      subject: key.machine, publicKey: key.publicKey, name: "ben-2", replaces: nil, by: scene.household.key,
      now: now)
    _ = roster.merge([admission])
    _ = roster.merge([try roster.accepting(by: key, now: now)])
    let journal = RekeyJournal(
      former: ben.key.machine, machine: key.machine, name: "ben-2",
      formerKey: ben.home.keyPath + ".before-1-1", statements: roster.statements)
    try journal.write(ben.home)
    return journal
  }

  private struct Crash: Error {}

  @Test(arguments: Rekey.Step.allCases) func aCrashBeforeAnyStepIsCompleted(step: Rekey.Step) async throws {
    _ = try await cutOff()
    for _ in 0..<2 {
      #expect(throws: Crash.self) {
        try Rekey.complete(ben.home) { if $0 == step { throw Crash() } }
      }
    }
    try expectRekeyed(try #require(try Rekey.complete(ben.home)))
    #expect(try Rekey.complete(ben.home) == nil)
  }

  /// `link` and `rename` are two calls.
  @Test func aKeyThatHasBothNamesIsSwappedStill() async throws {
    let journal = try await cutOff()
    try FileManager.default.linkItem(atPath: ben.home.keyPath, toPath: journal.formerKey)
    try expectRekeyed(try #require(try Rekey.complete(ben.home)))
  }

  @Test func theNextRekeyCompletesTheOneThatWasCutOff() async throws {
    _ = try await cutOff()
    let said = Mutex<[String]>([])
    let result = try await Rekey.run(
      home: ben.home, name: nil, code: invite().display, logger: InstalledHome.logger,
      progress: { line in said.withLock { $0.append(line) } }, confirm: { _, _ in true }
    ) { _ in throw Crash() }
    try expectRekeyed(result)
    #expect(said.withLock { $0.count } == 1 && scene.invitations.isOpen)
  }

  /// The journal came back in a power cut; its key did not.
  @Test func aJournalWithoutItsKeyWasTakenBack() async throws {
    _ = try await cutOff()
    try FileManager.default.removeItem(atPath: ben.home.keyPath + ".next")
    #expect(try Rekey.complete(ben.home) == nil)
    try expectUnchanged("taken back")
  }

  @Test func anEmptyMountPointDoesNotBecomeTheReplica() async throws {
    _ = try await cutOff()
    try FileManager.default.moveItem(atPath: ben.replica, toPath: ben.replica + " away")
    try FileManager.default.createDirectory(atPath: ben.replica, withIntermediateDirectories: false)
    #expect(throws: DiskError.self) { try Rekey.complete(ben.home) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: ben.replica).isEmpty)
    try FileManager.default.removeItem(atPath: ben.replica)
    try FileManager.default.moveItem(atPath: ben.replica + " away", toPath: ben.replica)
    try expectRekeyed(try #require(try Rekey.complete(ben.home)))
  }

  // MARK: The journal

  @Test func theJournalReadsBackAndRefusesWhatIsDamaged() async throws {
    let journal = try await cutOff()
    #expect(try RekeyJournal.read(ben.home) == journal)
    let bytes = journal.bytes
    for count in 0..<bytes.count {
      #expect(throws: RecordError.self, "\(count) bytes") { try RekeyJournal(bytes: Array(bytes[..<count])) }
    }
    #expect(throws: RecordError.trailingBytes) { try RekeyJournal(bytes: bytes + [0]) }
    #expect(throws: RecordError.unsupportedVersion(2)) { try RekeyJournal(bytes: [2] + bytes.dropFirst()) }
    try ben.write(ben.home.rekeyJournalPath, Array(bytes.dropLast()))
    #expect(throws: AgentError.self) { try Rekey.complete(ben.home) }
    #expect(try ben.machine == ben.key.machine)
  }
}
