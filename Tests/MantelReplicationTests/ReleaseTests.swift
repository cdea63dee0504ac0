import MantelCore
import MantelSummary
import Testing

@testable import MantelReplication

/// Copies that a source lets go of: each only when every full machine attests it and has shown it.
@Suite struct ReleaseTests {
  private let a = content("a")
  private let b = content("b")
  private let right = SummaryHash.sha256([1])

  /// A source that holds `a` and `b` of its first peer, connected to both peers, which attest them.
  private func machine(
    settings: ReplicationSettings = ReplicationSettings(), held: [ContentID]? = nil
  ) throws -> (SingleMachine, [LinkID]) {
    let machine = try SingleMachine(peers: 2, settings: settings)
    try machine.send(.recovered)
    try machine.send(
      .recordChanged(
        MachineRecord(
          machine: machine.machine, number: 0, name: "me", role: .full, program: "test", addresses: [],
          folders: [])))
    let links = try [machine.connect(0, has: [a, b]), machine.connect(1, has: [a, b])]
    let entries = [machine.entry("a.jpg", a), machine.entry("b.jpg", b)]
    try machine.install(0, 1, entries, over: links[0])
    for photo in [a, b] { try machine.send(.unitVerified(links[0], UnitID(content: photo, part: .whole))) }
    try machine.fileAll()
    let order = HeadOrder(epoch: 1, sequence: 1)
    let all = [a, b]
    for (peer, mine) in [all, held ?? all].enumerated() {
      let statement = machine.statement(
        machine.peers[0].machine, order, held: mine, missing: all.filter { !mine.contains($0) })
      try machine.send(.attestationReceived(links[peer], try machine.attestation(peer, [statement])))
    }
    try machine.send(.roleChanged(.source))
    // That it keeps nothing any more is signed.
    try machine.pass(.seconds(2))
    _ = machine.take()
    return (machine, links)
  }

  /// Answers every challenge until none is asked any more; `answer`: what a link's peer says of a content.
  private func answerAll(
    _ machine: SingleMachine, _ answer: (LinkID, ContentID) -> (Digest256?, LinkOutcome)
  ) throws {
    for _ in 0..<100 {
      let drawn = machine.take().compactMap { if case .drawChallenge(let link) = $0 { link } else { nil } }
      guard !drawn.isEmpty else { return }
      for link in drawn {
        let draw = ChallengeDraw(
          position: .zero, part: 3, nonce: [UInt8](repeating: 5, count: Challenge.nonceBytes))
        for case .prove(link, let challenge) in try machine.send(.challengeDrawn(link, draw)) {
          let commands = try machine.send(.proved(link, challenge, right)).commands(link)
          for case .challenge(let job, _) in commands {
            let (digest, outcome) = answer(link, challenge.content)
            if let digest { try machine.send(.challengeAnswered(link, job, digest)) }
            try machine.send(.jobEnded(link, job, outcome))
          }
        }
      }
    }
    Issue.record("challenges without an end")
  }

  private func report(_ machine: SingleMachine) throws -> ReleaseReport {
    let report = machine.replicator.releaseReport
    return try #require(report)
  }

  private func refusal(_ machine: SingleMachine) -> ReleaseRefusal? { machine.replicator.releaseRefusal }

  private func running(_ machine: SingleMachine) throws -> FilingBatch {
    let running = machine.replicator.filing.running
    return try #require(running)
  }

  private func preview(_ machine: SingleMachine) throws -> ReleasePreview {
    let refusal = machine.replicator.releaseRefusal
    var preview = ReleasePreview(refusal: refusal)
    let page = try machine.catalog.replicaContents(after: nil, limit: 1_000)
    try machine.replicator.knownKeepers().count(page, into: &preview)
    return preview
  }

  /// Carries out what was asked for, and lets the run come to its end.
  private func finish(_ machine: SingleMachine) throws -> [FilingOperation] {
    let done = try machine.fileAll()
    try machine.send(.tick)
    return done
  }

  /// The batch that the last answer has led to.
  private func carryOut(_ machine: SingleMachine) throws {
    let running = try running(machine)
    try machine.send(.filed(running.id, running.steps.map { .done(path: $0.operation.path, nil) }))
    try machine.send(.tick)
  }

  @Test func whatAllHaveShownGoes() throws {
    let (machine, _) = try machine()
    let preview = try preview(machine)
    #expect(preview.refusal == nil)
    #expect((preview.contents, preview.attested, preview.single) == (2, 2, 0))
    let files = try [a, b].flatMap { try machine.catalog.replicaFiles(of: $0) }
    try machine.send(.releaseWanted)
    var asked: [LinkID: Set<ContentID>] = [:]
    let right = right
    try answerAll(machine) { link, content in
      asked[link, default: []].insert(content)
      return (right, .complete)
    }
    #expect(asked.count == 2 && asked.values.allSatisfy { $0 == [a, b] })
    // The last answer has led to the batch.
    let running = try running(machine)
    #expect(Set(running.steps.map(\.operation.path)) == Set(files.map(\.path)))
    try machine.send(
      .filed(running.id, running.steps.map { .done(path: $0.operation.path, nil) }))
    try machine.send(.tick)
    #expect(try [a, b].allSatisfy { try machine.catalog.replicaFiles(of: $0).isEmpty })
    #expect(!machine.isHeld(a) && !machine.isAvailable(b))
    let report = try report(machine)
    #expect(report.phase == .done && report.released.files == 2 && report.kept.isEmpty)
    #expect(try machine.report().missingFiles == 0, "a source owes none of it")
  }

  @Test func aFullMachineReleasesNothing() throws {
    let (machine, _) = try machine()
    try machine.send(.roleChanged(.full))
    _ = machine.take()
    #expect(refusal(machine) == .isFull)
    try machine.send(.releaseWanted)
    #expect(try report(machine).phase == .stopped && report(machine).refusal == .isFull)
    #expect(!machine.take().contains { if case .drawChallenge = $0 { true } else { false } })
  }

  @Test func aFullMachineThatIsAwayCanShowNothing() throws {
    let (machine, links) = try machine()
    try machine.send(.linkClosed(links[1]))
    #expect(refusal(machine) == .away([machine.peers[1].machine]))
    try machine.send(.releaseWanted)
    #expect(try report(machine).phase == .stopped)
    // Also one that goes meanwhile.
    try machine.connect(1, has: [a, b])
    try machine.send(.releaseWanted)
    #expect(try report(machine).phase == .releasing)
    try machine.send(.linkClosed(machine.lastLinkID))
    #expect(try report(machine).phase == .stopped && machine.catalog.replicaFiles(of: a).count == 1)
  }

  @Test func whatOneDoesNotAttestStays() throws {
    let (machine, _) = try machine(held: [a])
    #expect(try preview(machine).attested == 1)
    try machine.send(.releaseWanted)
    let right = right
    try answerAll(machine) { _, _ in (right, .complete) }
    let running = try running(machine)
    #expect(running.contents == [a])
    try machine.send(.filed(running.id, running.steps.map { .done(path: $0.operation.path, nil) }))
    try machine.send(.tick)
    #expect(try report(machine).kept.keys.map(\.self) == [.unattested(machine.peers[1].machine)])
    #expect(machine.isHeld(b))
  }

  @Test(arguments: [LinkOutcome.complete, .notHeld, .busy])
  func whatOneDoesNotShowStays(outcome: LinkOutcome) throws {
    let (machine, links) = try machine()
    try machine.send(.releaseWanted)
    let (right, wrong, a) = (right, SummaryHash.sha256([2]), a)
    try answerAll(machine) { link, content in
      guard link == links[1], content == a else { return (right, .complete) }
      return (outcome == .complete ? wrong : nil, outcome)
    }
    _ = try finish(machine)
    #expect(machine.isHeld(a))
    #expect(try report(machine).kept[.unproven(machine.peers[1].machine)]?.files == 1)
    // Whose word is void once attests nothing else either.
    #expect(machine.isHeld(b) == (outcome == .complete))
  }

  @Test func anOldWordIsNotEnough() throws {
    var settings = ReplicationSettings()
    settings.releaseAttested = .seconds(20)
    let (machine, _) = try machine(settings: settings)
    try machine.pass(.seconds(30))
    try machine.send(.tick)
    _ = machine.take()
    #expect(try preview(machine).attested == 0)
    try machine.send(.releaseWanted)
    try machine.send(.tick)
    #expect(try report(machine).phase == .done && report(machine).released.files == 0)
    #expect(machine.isHeld(a) && machine.isHeld(b))
  }

  @Test func whoBecomesFullMeanwhileKeepsAll() throws {
    let (machine, _) = try machine()
    try machine.send(.releaseWanted)
    try machine.send(.roleChanged(.full))
    #expect(try report(machine).phase == .stopped)
    #expect(machine.isHeld(a) && machine.isHeld(b))
  }

  @Test func nobodyWhoAsksNobodyWhoReleases() throws {
    let (machine, _) = try machine()
    try machine.send(.releaseWanted)
    try machine.pass(machine.settings.verifyLease)
    #expect(try report(machine).phase == .stopped)
    #expect(machine.isHeld(a) && machine.isHeld(b))
  }

  /// It has been forgotten since its page was turned, or its owner's entry is gone.
  @Test func whatNobodyNamesAnyMoreStaysAndHoldsUpNothing() throws {
    let (machine, links) = try machine()
    try machine.send(.releaseWanted)
    try machine.install(
      0, 2, [machine.entry("a.jpg", a)], removed: [machine.entry("b.jpg", b)], added: [], over: links[0])
    let statement = machine.statement(machine.peers[0].machine, HeadOrder(epoch: 1, sequence: 2), held: [a])
    for peer in [0, 1] {
      try machine.send(
        .attestationReceived(links[peer], try machine.attestation(peer, number: 2, [statement])))
    }
    let right = right
    try answerAll(machine) { _, _ in (right, .complete) }
    try carryOut(machine)
    let report = try report(machine)
    #expect(report.phase == .done && report.released.files == 1)
    #expect(report.kept == [.unnamed: ReleaseReport.Tally(files: 1, bytes: 10)])
    #expect(try machine.catalog.replicaFiles(of: b).count == 1)
  }

  /// What somebody else says of their sizes: nobody would be asked for anything then.
  @Test func aLieAboutASizeHoldsNothingUp() throws {
    let (machine, links) = try machine()
    let lies = [a, b].enumerated().map { machine.entry("lie \($0)", $1, size: $0 == 0 ? 0 : 1 << 20) }
    try machine.install(1, 1, lies, over: links[1])
    try machine.send(.releaseWanted)
    let right = right
    try answerAll(machine) { _, _ in (right, .complete) }
    try carryOut(machine)
    #expect(try report(machine).phase == .done)
    #expect(try report(machine).released.files == 2)
  }

  @Test func copiesThatStayArePassedWithoutWaitingForAnything() throws {
    var settings = ReplicationSettings()
    settings.releasePage = 1
    settings.releasePages = 1
    let (machine, _) = try machine(settings: settings, held: [])
    try machine.send(.releaseWanted)
    try machine.pass(.milliseconds(1), limit: 10)
    #expect(try report(machine).phase == .done && report(machine).looked.files == 2)
  }

  /// Its bytes are fetched afresh while the old ones go.
  @Test func nothingIsHeldWhileItIsDeletedThoughItIsStaged() throws {
    let (machine, _) = try machine()
    try machine.send(.releaseWanted)
    machine.replicator.transfers.staged.insert(a)
    let right = right
    try answerAll(machine) { _, _ in (right, .complete) }
    #expect(try running(machine).contents == [a, b].sorted())
    #expect(!machine.isHeld(a) && machine.isAvailable(a))
    #expect(!machine.isHeld(b) && !machine.isAvailable(b))
  }

  /// Only one machine will be left with it: told before it is done.
  @Test func thePreviewCountsWhatIsThenOnOneMachine() throws {
    let (machine, _) = try machine()
    try machine.remove(1)
    #expect(try preview(machine).single == 2)
  }
}
