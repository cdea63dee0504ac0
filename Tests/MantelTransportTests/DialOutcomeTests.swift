import Synchronization
import Testing

@testable import MantelTransport

@Suite struct DialOutcomeTests {
  private final class Ends: Sendable {
    private let codes = Mutex<[TransportError.Code]>([])
    var told: [TransportError.Code] { codes.withLock { $0 } }
    func tell(_ error: TransportError) { codes.withLock { $0.append(error.code) } }
  }

  private let timeout = TransportError(.timeout, "")

  @Test func aDialThatIsGivenUpEndsItsConnection() {
    let (outcome, ends) = (DialOutcome<Int>(), Ends())
    outcome.attach { ends.tell($0) }
    outcome.complete(.failure(timeout))
    outcome.complete(.failure(TransportError(.cancelled, "")))
    #expect(ends.told == [.timeout])
  }

  /// The connection's last frames are still to be written: they say why.
  @Test func aConnectionThatEndsByItselfIsNotCutOff() async {
    let (outcome, ends) = (DialOutcome<Int>(), Ends())
    outcome.attach { ends.tell($0) }
    outcome.ended(TransportError(.closed(.clone), ""))
    outcome.complete(.failure(timeout))
    #expect(ends.told.isEmpty)
    guard case .failure(let error) = await outcome.wait() else {
      Issue.record("no failure")
      return
    }
    #expect(error.code == .closed(.clone))
  }

  @Test func whatComesAfterTheFailureIsEndedAtOnce() {
    let (outcome, ends) = (DialOutcome<Int>(), Ends())
    outcome.complete(.failure(timeout))
    outcome.attach { ends.tell($0) }
    #expect(ends.told == [.timeout])
  }

  @Test func aDialThatSucceededEndsNothing() {
    let (outcome, ends) = (DialOutcome<Int>(), Ends())
    outcome.attach { ends.tell($0) }
    outcome.complete(.success(1))
    outcome.complete(.failure(timeout))
    #expect(ends.told.isEmpty)
  }
}
