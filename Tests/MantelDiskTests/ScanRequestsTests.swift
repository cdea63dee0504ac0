import MantelCore
import Testing

@testable import MantelDisk

/// No walk that somebody asked for is lost.
@Suite struct ScanRequestsTests {
  private let a = FolderID(high: 0, low: 1)
  private let b = FolderID(high: 0, low: 2)

  /// Everything that is asked for, to the end.
  private func drain(_ requests: inout ScanRequests) -> [ScanRequests.Request] {
    var done: [ScanRequests.Request] = []
    while let request = requests.begin() {
      done.append(request)
      requests.end()
    }
    return done
  }

  @Test func aFolderIsWalkedOnceHoweverOftenItIsAskedFor() {
    var requests = ScanRequests()
    for folder in [a, b, a, b] { requests.ask(folder) }
    #expect(drain(&requests) == [.folder(a), .folder(b)])
    #expect(!requests.isBusy)
  }

  /// Events were lost while it was walked: what it passed by has to be looked at again.
  @Test func aRequestDuringAWalkLeadsToAnother() {
    var requests = ScanRequests()
    requests.ask(a)
    #expect(requests.begin() == .folder(a))
    requests.ask(a)
    #expect(requests.begin() == nil, "one walk at a time")
    requests.end()
    #expect(requests.isBusy)
    #expect(drain(&requests) == [.folder(a)])
  }

  @Test func aWalkUnderWayIsBusy() {
    var requests = ScanRequests()
    requests.ask(a, below: [1])
    #expect(requests.begin() == .subtree(a, [1]))
    #expect(requests.isBusy)
    requests.end()
    #expect(!requests.isBusy)
  }

  /// A tree of very many directories is copied into one folder while another waits.
  @Test func manySubtreesPushNobodyOut() {
    var requests = ScanRequests(subtreeLimit: 10)
    requests.ask(b)
    for number in 0..<50 { requests.ask(a, below: [UInt8(number)]) }
    #expect(drain(&requests) == [.folder(b), .folder(a)], "the surplus is one walk of the folder")
  }

  @Test func subtreesComeInOrderAndBeforeFolders() {
    var requests = ScanRequests()
    requests.ask(b)
    for number in 0..<3_000 { requests.ask(a, below: [UInt8(number & 255), UInt8(number >> 8)]) }
    let done = drain(&requests)
    #expect(done.count == 3_001)
    #expect(done.first == .subtree(a, [0, 0]) && done.last == .folder(b))
    #expect(Set(done).count == 3_001)
  }

  @Test func aFolderThatIsForgottenIsNotWalked() {
    var requests = ScanRequests()
    requests.ask(a)
    requests.ask(b, below: [1])
    requests.ask(b, below: [2])
    #expect(requests.begin() == .subtree(b, [1]))
    requests.end()
    requests.forget(a)
    requests.forget(b)
    #expect(!requests.isBusy && requests.begin() == nil)
  }
}
