import MantelCore

/// The table of frame types: code, name and greatest payload. protocol.md has the same table; a test compares them.
///
/// An odd code is critical: whoever does not know it must close the connection. An even one is optional: whoever
/// does not know it skips the frame. Only a frame that nobody waits for may be optional.
package enum FrameType: UInt8, Sendable, CaseIterable {
  // Opening
  case hello = 0x01
  case ping = 0x03
  case pong = 0x05
  case close = 0x07

  // News
  case forgetRequest = 0x10
  case roster = 0x11
  case record = 0x13
  case head = 0x15
  case attestation = 0x17

  // Libraries
  case getDelta = 0x21
  case getEntries = 0x23
  case entries = 0x25
  case removedEntries = 0x27

  // Reconciliation
  case reconcile = 0x31
  case turn = 0x33

  // Transfer
  case get = 0x41
  case unitBegin = 0x43
  case data = 0x45
  case unitEnd = 0x47
  case cancel = 0x49
  case pullAny = 0x4b
  case chosenUnit = 0x4d
  case done = 0x4f

  // Holdings
  case available = 0x50
  case availableBlocks = 0x52

  // Proof
  case challenge = 0x61
  case challengeAnswer = 0x63

  /// Whether a receiver that does not know the type may skip it.
  package var isOptional: Bool { Self.isOptional(code: rawValue) }

  /// The same for a code that may be unknown here.
  package static func isOptional(code: UInt8) -> Bool { code & 1 == 0 }

  /// The name in protocol.md, logs and errors.
  package var name: String {
    switch self {
    case .hello: "HELLO"
    case .ping: "PING"
    case .pong: "PONG"
    case .close: "CLOSE"
    case .forgetRequest: "FORGET_REQUEST"
    case .roster: "ROSTER"
    case .record: "RECORD"
    case .head: "HEAD"
    case .attestation: "ATTESTATION"
    case .getDelta: "GET_DELTA"
    case .getEntries: "GET_ENTRIES"
    case .entries: "ENTRIES"
    case .removedEntries: "REMOVED_ENTRIES"
    case .reconcile: "RECONCILE"
    case .turn: "TURN"
    case .get: "GET"
    case .unitBegin: "UNIT_BEGIN"
    case .data: "DATA"
    case .unitEnd: "UNIT_END"
    case .cancel: "CANCEL"
    case .pullAny: "PULL_ANY"
    case .chosenUnit: "CHOSEN_UNIT"
    case .done: "DONE"
    case .available: "AVAILABLE"
    case .availableBlocks: "AVAILABLE_BLOCKS"
    case .challenge: "CHALLENGE"
    case .challengeAnswer: "CHALLENGE_ANSWER"
    }
  }

  /// The greatest payload in bytes; a longer one is refused when its header is read.
  package var maximumBytes: Int {
    switch self {
    case .hello: FrameLimits.hello
    case .ping, .pong: FrameLimits.ping
    case .close: FrameLimits.close
    case .forgetRequest: Signed<ForgetRequest>.maximumBytes
    case .roster: Limits.frameBytes
    case .record: Signed<MachineRecord>.maximumBytes
    case .head: Signed<Head>.maximumBytes
    case .attestation: FrameLimits.attestation
    case .getDelta: FrameLimits.getDelta
    case .getEntries: FrameLimits.getEntries
    case .entries: Limits.frameBytes
    case .removedEntries: FrameLimits.removedEntries
    case .reconcile: FrameLimits.reconcile
    case .turn: FrameLimits.turn
    case .get: FrameLimits.get
    case .unitBegin: FrameLimits.unitBegin
    case .data: FrameLimits.data
    case .unitEnd: FrameLimits.unitEnd
    case .cancel: FrameLimits.requestBytes
    case .pullAny: FrameLimits.pullAny
    case .chosenUnit: FrameLimits.chosenUnit
    case .done: FrameLimits.done
    case .available: FrameLimits.available
    case .availableBlocks: FrameLimits.availableBlocks
    case .challenge: FrameLimits.challenge
    case .challengeAnswer: FrameLimits.challengeAnswer
    }
  }
}

extension Frame {
  package var type: FrameType {
    switch self {
    case .hello: .hello
    case .ping: .ping
    case .pong: .pong
    case .close: .close
    case .roster: .roster
    case .record: .record
    case .head: .head
    case .attestation: .attestation
    case .forgetRequest: .forgetRequest
    case .getDelta: .getDelta
    case .getEntries: .getEntries
    case .entries: .entries
    case .removedEntries: .removedEntries
    case .reconcile: .reconcile
    case .turn: .turn
    case .get: .get
    case .unitBegin: .unitBegin
    case .data: .data
    case .unitEnd: .unitEnd
    case .cancel: .cancel
    case .pullAny: .pullAny
    case .chosenUnit: .chosenUnit
    case .done: .done
    case .available: .available
    case .availableBlocks: .availableBlocks
    case .challenge: .challenge
    case .challengeAnswer: .challengeAnswer
    }
  }

  /// The type's code in the header.
  package var typeCode: UInt8 { type.rawValue }

  /// Whether the frame carries file bytes: every other frame overtakes it.
  package var isBulk: Bool { type == .data }
}
