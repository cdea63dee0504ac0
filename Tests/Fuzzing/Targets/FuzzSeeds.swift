import MantelCore
import MantelHousehold
import MantelSummary
import MantelWire
import NIOCore

extension FuzzTarget {
  /// Inputs of the right form, which a search begins with.
  package var seeds: [[UInt8]] {
    switch self {
    case .frames: Seeds.frames.map(Seeds.bytes) + [Seeds.frames.flatMap(Seeds.bytes)]
    case .session: Seeds.sessions
    case .roster: Seeds.histories
    case .heads: [Seeds.head.bytes]
    case .manifests: [Seeds.manifest(blocks: 5).bytes, Seeds.manifest(blocks: 40).bytes]
    case .descent: Seeds.descents
    case .paths: Seeds.paths
    case .joining: Seeds.joining
    case .attestations: Seeds.records
    }
  }
}

private enum Seeds {
  static let machine = MachineID(Digest256(0xb, 0, 0, 0))
  static let content = ContentID(Digest256(1, 6, 6, 6))
  static let order = HeadOrder(epoch: 1, sequence: 2)

  static func signed<Record>(_ record: Record) -> Signed<Record> {
    guard let signature = Signature([UInt8](repeating: 7, count: Signature.byteCount)) else {
      preconditionFailure("64 bytes are a signature")
    }
    return Signed(record: record, signature: signature)
  }

  static var head: Signed<Head> {
    signed(
      Head(
        library: machine, signer: machine, order: order, root: .zero, counts: LibraryCounts(),
        time: WallTime(nanoseconds: 5)))
  }

  static var record: Signed<MachineRecord> {
    signed(
      MachineRecord(
        machine: machine, number: 3, name: "kitchen", role: .full, program: "mantel",
        addresses: [NetworkAddress(host: "10.0.0.1", port: 62_683)],
        folders: [FolderName(id: FolderID(high: 1, low: 2), name: "Photos")]))
  }

  static var attestation: Signed<Attestation> {
    let library = LibraryAttestation(
      library: machine, order: order, heldRoot: .zero, missingCount: 1, missingBytes: 5, missing: [content])
    return signed(
      Attestation(
        holder: machine, number: 4, time: WallTime(nanoseconds: 1), filesystem: FolderID(high: 1, low: 2),
        oldestReread: WallTime(nanoseconds: 1), libraries: [library]))
  }

  static var entry: Entry {
    Entry(
      folder: FolderID(high: 3, low: 4), path: Array("2026/photo.jpg".utf8), content: content, size: 10,
      mtime: 5,
      kind: .photo, state: .live, manifest: nil)
  }

  static var request: Signed<ForgetRequest> {
    signed(
      ForgetRequest(
        requester: machine, number: 1, time: WallTime(nanoseconds: 1), isWithdrawn: false, contents: [content]
      ))
  }

  static func manifest(blocks count: Int) -> Manifest {
    Manifest(
      size: UInt64(count) * UInt64(Limits.blockBytes) - 7,
      blocks: (0..<count).map { Digest256(UInt64($0), 1, 1, 1) })
  }

  // MARK: Frames

  static var frames: [Frame] {
    let (id, unit) = (RequestID(1), UnitID(content: content, part: .whole))
    return [
      .ping(1), .pong(1), .close(.normal, message: "over"), .record(record), .head(head),
      .forgetRequest(request), .roster([[1, 2, 3]]),
      .getDelta(id, library: machine, from: .none, to: order),
      .getEntries(id, library: machine, [EntryID(.zero)]),
      .entries(id, [entry.canonicalBytes]), .removedEntries(id, [EntryID(.zero)]),
      .reconcile(id, .holdings, count: 30, root: .zero),
      .turn(id, isReply: true, isLast: true, ByteBuffer(bytes: [0, 1, 2])),
      .get(id, [unit, UnitID(content: content, part: .block(2)), UnitID(content: content, part: .manifest)]),
      .unitBegin(id, index: 0, bytes: 4), .data(id, index: 0, ByteBuffer(bytes: [1, 2, 3, 4])),
      .unitEnd(id, index: 0, .complete), .cancel(id), .pullAny(id, count: 2, bytes: 9, [unit]),
      .chosenUnit(id, index: 0, unit), .done(id, .complete), .available(added: [content], removed: []),
      .availableBlocks(content, [BlockRange(first: 1, count: 2)]),
      .challenge(id, content, offset: 0, count: 4, nonce: [UInt8](repeating: 1, count: 16)),
      .challengeAnswer(id, .zero),
    ] + Frame.attestations(attestation)
  }

  static func bytes(_ frame: Frame) -> [UInt8] {
    var buffer = ByteBuffer()
    FrameEncoder.encode(frame, into: &buffer)
    return Array(buffer.readableBytesView)
  }

  /// A frame as a step of the session's target.
  private static func step(_ frame: Frame) -> [UInt8] {
    let bytes = bytes(frame)
    let payload = bytes.dropFirst(FrameLimits.headerBytes)
    return [0, bytes[3], UInt8(payload.count >> 8), UInt8(truncatingIfNeeded: payload.count)] + payload
  }

  /// Each frame by itself between a command and answers; all of them in a row.
  static var sessions: [[UInt8]] {
    let commands: [[UInt8]] = [[6, 1, 0, 4], [6, 1, 2], [6, 1, 3], [6, 1, 4]]
    let singles = frames.enumerated().map { number, frame in
      commands[number % commands.count] + [3, 7] + step(frame) + [5, 2, 3, 7, 5, 0, 7, 1, 0, 4]
    }
    return singles + [frames.flatMap { step($0) + [3, 3, 5, 0] }]
  }

  // MARK: Others

  static var histories: [[UInt8]] {
    let statements =
      (try? Roster.found(
        name: "home", machineName: "m0", key: DeviceKey(scalar: [UInt8](repeating: 1, count: 32)),
        random: [UInt8](repeating: 9, count: 32),
        now: WallTime(nanoseconds: 0))) ?? []
    return statements.map { [1] + $0.bytes } + [
      // m0 and m1 remove each other, and m2 votes.
      [0] + add(2, by: 0, after: 2) + accept(3, by: 2) + remove(0, by: 1, after: 4)
        + remove(1, by: 0, after: 4) + countersign(5, by: 2) + rename(by: 0, after: 6),
      // m2 is admitted in m1's place.
      [0] + remove(1, by: 0, after: 2) + add(2, by: 0, after: 3, replaces: 1) + accept(4, by: 2)
        + rename(by: 2, after: 5) + countersign(3, by: 2),
      // m1 has admitted m2, and m2 m3, before m0 removes m1 without knowing that; a stranger speaks.
      [0] + add(2, by: 1, after: 2) + accept(3, by: 2) + add(3, by: 2, after: 4) + accept(5, by: 3)
        + remove(1, by: 0, after: 2) + add(4, by: 4, after: 7) + countersign(7, by: 3),
    ]
  }

  // Statements of the roster's target: founding has 0, 1 and 2, each further one is the next number.

  private static func add(
    _ subject: UInt8, by signer: UInt8, after parent: UInt8, replaces: UInt8? = nil
  ) -> [UInt8] {
    [signer, subject, 1, parent, 1, 0] + (replaces.map { [1, $0] } ?? [0])
  }

  private static func accept(_ admission: UInt8, by signer: UInt8) -> [UInt8] {
    [signer, 0, 1, admission, 1, admission, 2]
  }

  private static func remove(_ subject: UInt8, by signer: UInt8, after parent: UInt8) -> [UInt8] {
    [signer, subject, 1, parent, 1, 0, 3]
  }

  private static func countersign(_ removal: UInt8, by signer: UInt8) -> [UInt8] {
    [signer, 0, 1, removal, 1, removal, 4]
  }

  private static func rename(by signer: UInt8, after parent: UInt8) -> [UInt8] {
    [signer, 0, 1, parent, 1, 0, 5, 0]
  }

  /// What an honest peer says, for many pairs of sets.
  static var descents: [[UInt8]] {
    let places = [0, 6, 24, 31, 37, 49, 61, 67, 73]
    var inputs: [[UInt8]] = []
    for mine in places {
      for theirs in places where theirs != mine {
        for isOpener in [true, false] {
          if let input = try? descent(mine: mine, theirs: theirs, isOpener: isOpener) { inputs.append(input) }
        }
      }
    }
    return inputs
  }

  private static func descent(mine: Int, theirs: Int, isOpener: Bool) throws -> [UInt8] {
    let (own, other) = (DescentSets.all[mine].snapshot, DescentSets.all[theirs].snapshot)
    func side(_ set: SetSnapshot, _ peer: SetSnapshot, isOpener: Bool) -> Reconciler {
      Reconciler(
        mine: set, isOpener: isOpener, theirCount: isOpener ? nil : UInt64(peer.count),
        theirRoot: isOpener ? nil : peer.root, salt: DescentSets.salt)
    }
    var side = (own: side(own, other, isOpener: isOpener), peer: side(other, own, isOpener: !isOpener))
    var input: [UInt8] = [isOpener ? 0 : 1, UInt8(mine), UInt8(other.count >> 8), UInt8(other.count & 0xFF)]
    while !(side.own.isFinished && side.peer.isFinished) {
      if let piece = side.peer.nextPiece(maximumBytes: 2_047) {
        let count = piece.bytes.count
        input += [piece.isLast ? 1 : 2, UInt8(count >> 8), UInt8(count & 0xFF)]
        input += piece.bytes
        try side.own.receive(piece.bytes, isLast: piece.isLast)
      } else if let piece = side.own.nextPiece(maximumBytes: 2_047) {
        try side.peer.receive(piece.bytes, isLast: piece.isLast)
      } else {
        break
      }
    }
    return input + [0]
  }

  static var paths: [[UInt8]] {
    ["*.jpg", "/2026/**/img?.raw", "[a-z]*/", "**/[!0-9]x", "\\*"].flatMap { pattern in
      ["2026/a/img1.raw", "photo.jpg", "..", "a/../b", "na:me./x ", "\u{e4}\u{301}/.part"].map { path in
        [UInt8(pattern.utf8.count)] + Array(pattern.utf8) + Array(path.utf8)
      }
    }
  }

  static var joining: [[UInt8]] {
    let code = InviteCode(random: [UInt8](0..<15)).display
    let offer = JoinMessage.offer(
      household: HouseholdID(.zero), invite: [UInt8](repeating: 1, count: 16),
      nonce: [UInt8](repeating: 2, count: 32))
    let proof = JoinMessage.proof(
      nonce: [UInt8](repeating: 2, count: 32), name: "anna", replaces: nil,
      mac: [UInt8](repeating: 3, count: 32))
    let accept = JoinMessage.accept(mac: [UInt8](repeating: 3, count: 32), body: [0, 0, 0, 0, 0, 0])
    let messages = [offer, proof, accept, .refuse(.busy)].map(\.bytes)
    return [[0] + Array(code.utf8), [0] + Array("0o1l il-".utf8)] + messages.map { [1] + $0 }
      + messages.map { [2, 0, 0, 0, 5, 0] + $0 } + [[2, 0, 1, 255] + offer.bytes]
  }

  static var records: [[UInt8]] {
    let whole = attestation.bytes
    let half = whole.count / 2
    func piece(_ part: UInt8, _ isLast: UInt8, _ bytes: ArraySlice<UInt8>) -> [UInt8] {
      [part, isLast, UInt8(bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)] + bytes
    }
    return [
      [0] + whole, [1] + record.bytes, [2] + request.bytes, [3] + entry.canonicalBytes,
      [4] + piece(0, 0, whole[..<half]) + piece(1, 1, whole[half...]), [5] + whole,
    ]
  }
}
