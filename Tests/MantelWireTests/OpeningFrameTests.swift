import MantelCore
import NIOCore
import Testing

@testable import MantelWire

@Suite struct HelloTests {
  private static let memberCountPlace = FrameLimits.headerBytes + FrameLimits.hello - 64 * 64 - 1

  private func bytes(members: Int) -> [UInt8] {
    wireBytes(.hello(FrameFixture.hello(members: (0..<members).map(FrameFixture.member))))
  }

  /// The budget of design.md: at most 1 KB for two machines, 5 KB for twenty.
  @Test func staysWithinItsBudget() {
    #expect(bytes(members: 2).count <= 400)
    #expect(bytes(members: 20).count <= 1_600)
  }

  @Test func membersAreSortedOnTheWire() throws {
    let members = (0..<5).map(FrameFixture.member)
    let frame = Frame.hello(FrameFixture.hello(members: members.reversed()))
    #expect(try decodeOne(wireBytes(frame)) == .hello(FrameFixture.hello(members: members)))
  }

  @Test func membersOutOfOrderOrTwiceAreRefused() {
    var swapped = bytes(members: 2)
    let first = Self.memberCountPlace + 1
    let member = Array(swapped[first..<first + 64])
    swapped.replaceSubrange(first..<first + 64, with: swapped[(first + 64)...])
    #expect(throws: WireError.malformed(.hello, field: "members")) { try decodeOne(swapped) }
    swapped.replaceSubrange((first + 64)..., with: member)
    #expect(throws: WireError.malformed(.hello, field: "members")) { try decodeOne(swapped) }
  }

  @Test func tooManyMembersAreRefused() {
    var over = bytes(members: 1)
    over[Self.memberCountPlace] = UInt8(Limits.machines + 1)
    #expect(throws: WireError.overLimit(.hello, field: "members")) { try decodeOne(over) }
  }

  @Test(arguments: [(0, 1), (2, 1), (0, 0)] as [(UInt8, UInt8)])
  func emptyVersionRangesAreRefused(lowest: UInt8, highest: UInt8) {
    var hello = bytes(members: 0)
    hello[FrameLimits.headerBytes] = lowest
    hello[FrameLimits.headerBytes + 1] = highest
    #expect(throws: WireError.malformed(.hello, field: "version")) { try decodeOne(hello) }
  }
}

@Suite struct CloseTests {
  @Test func codesAreAClosedSet() throws {
    for code in UInt16(0)...300 {
      let bytes = wireBytes(.close) { $0.writeMultipleIntegers(code, UInt16(0)) }
      if let known = CloseCode(rawValue: code) {
        #expect(try decodeOne(bytes) == .close(known, message: ""))
      } else {
        #expect(throws: WireError.malformed(.close, field: "code")) { try decodeOne(bytes) }
      }
    }
  }

  @Test func longMessagesAreCutBetweenCharacters() throws {
    let limit = FrameLimits.closeMessageBytes
    let frame = Frame.close(.timeout, message: "x" + String(repeating: "é", count: limit))
    let cut = "x" + String(repeating: "é", count: (limit - 1) / 2)
    #expect(try decodeOne(wireBytes(frame)) == .close(.timeout, message: cut))
  }

  @Test func messageMustBeTextWithinItsLimit() {
    let broken = wireBytes(.close) { $0.writeBytes([0, 0, 0, 1, 0xff]) }
    #expect(throws: WireError.malformed(.close, field: "message")) { try decodeOne(broken) }
    let over = wireBytes(.close) {
      $0.writeMultipleIntegers(UInt16(0), UInt16(FrameLimits.closeMessageBytes + 1))
    }
    #expect(throws: WireError.overLimit(.close, field: "message")) { try decodeOne(over) }
  }
}
