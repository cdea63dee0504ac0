import Logging
import MantelCore
import MantelHousehold
import MantelTransport

/// The newcomer's side of joining: who invites, whether that machine knows the code, and the two ways in which it can end.
struct Joining: Sendable {
  let code: InviteCode
  let key: DeviceKey
  let name: String
  let replaces: String?
  let logger: Logger

  /// The machine at the other end knows the code; nothing is decided yet.
  struct Proved: Sendable {
    let pipe: any JoinPipe
    var newcomer: JoinNewcomer
    let household: JoinedHousehold
  }

  // MARK: Finding

  /// What `search` is told of, and waits for.
  private enum Step: Sendable {
    case found(instance: String, addresses: [NetworkAddress])
    case ended(InviterSearch.Attempt, Result<Proved, any Error>)
    case quiet
    case over
    case unseeing
  }

  /// Tries all who advertise an invite until one takes the code. `nextService` waits for the next one, and is nil when
  /// there will be none any more. Throws what tells most of why there was none; nil-reasoned when nobody was there.
  static func search(
    timeout: Duration, patience: Duration = InviterSearch.patience,
    nextService: @escaping @Sendable () async -> (instance: String, addresses: [NetworkAddress])?,
    attempt: @escaping @Sendable (NetworkAddress) async throws -> Proved
  ) async throws -> Proved {
    try await withThrowingTaskGroup(of: Step.self) { group in
      @Sendable func look() async -> Step {
        await nextService().map { .found(instance: $0.instance, addresses: $0.addresses) } ?? .unseeing
      }
      func start(_ attempts: [InviterSearch.Attempt]) {
        for one in attempts {
          group.addTask {
            do { return .ended(one, .success(try await attempt(one.address))) } catch {
              return .ended(one, .failure(error))
            }
          }
        }
      }
      var search = InviterSearch()
      group.addTask { await look() }
      group.addTask {
        try await Task.sleep(for: timeout)
        return .over
      }
      defer { group.cancelAll() }
      while let step = try await group.next() {
        switch step {
        case .found(let instance, let addresses):
          start(search.found(instance, addresses))
          group.addTask { await look() }
        case .ended(_, .success(let proved)): return proved
        case .ended(let one, .failure(let error)):
          start(search.failed(one, error))
          guard search.wasRefused, search.isIdle else { continue }
          group.addTask {
            try await Task.sleep(for: patience)
            return .quiet
          }
        case .quiet where search.isIdle: throw search.reason ?? AgentError.noInviter
        case .over: throw search.reason ?? AgentError.noInviter
        case .quiet, .unseeing: continue
        }
      }
      throw AgentError.noInviter
    }
  }

  // MARK: Proving

  /// Proves the code, and has the other side prove it. The pipe is closed when this throws.
  func prove(on pipe: any JoinPipe) async throws -> Proved {
    try await withTaskCancellationHandler {
      do { return try await converse(on: pipe) } catch {
        await pipe.close()
        throw error
      }
    } onCancel: {
      // Another machine took the code, or time is up: what waits for an answer ends.
      Task { await pipe.close() }
    }
  }

  private func converse(on pipe: any JoinPipe) async throws -> Proved {
    var newcomer = JoinNewcomer(
      code: code, publicKey: key.publicKey, inviterPublicKey: pipe.peerPublicKey, name: name,
      replaces: replaces, nonce: Greeting.random() + Greeting.random())
    while true {
      let message = try await pipe.receive(
        maximumBytes: Limits.acceptFrameBytes, timeout: JoinPatience.answer)
      switch newcomer.receive(message) {
      case .send(let bytes): try await pipe.send(bytes)
      case .joined(let household):
        return Proved(pipe: pipe, newcomer: newcomer, household: household)
      case .failed(let error): throw error
      case .admit, .wrongProof, .finished: throw JoinError.unexpectedMessage
      }
    }
  }

  // MARK: Ending

  /// Shows the household to the user, stores it, and tells the inviter; or tells it that nothing was stored. When this
  /// throws, the inviter takes the admission back, and the caller removes what `store` did.
  func settle<Stored>(
    _ proved: Proved, confirm: (String, [String]) async -> Bool,
    store: ([SignedStatement]) throws -> Stored
  ) async throws -> Stored {
    let (pipe, roster) = (proved.pipe, proved.household.roster)
    var newcomer = proved.newcomer
    do {
      guard await confirm(roster.name, roster.members.map(\.name)) else { throw JoinError.declined }
      let (finish, statements) = try newcomer.finish(key: key, now: AgentClock.wall)
      let stored = try store(statements)
      // Stored first: who sent it is a member, whatever becomes of this machine.
      try await pipe.send(finish)
      await pipe.close()
      return stored
    } catch {
      await decline(proved)
      throw error
    }
  }

  /// Tells the inviter that nothing was stored: it takes the admission back.
  func decline(_ proved: Proved) async {
    do { try await proved.pipe.send(JoinMessage.refusal(.declined)) } catch {
      logger.debug("the inviter was not told", metadata: ["error": "\(error.message)"])
    }
    await proved.pipe.close()
  }
}

extension AgentError {
  static let noInviter = AgentError(
    .joinFailed,
    "found no machine with an open invite on this network: run `mantel invite` on a member while its agent runs, "
      + "or name it with --peer HOST:PORT (invite prints it)")
}
