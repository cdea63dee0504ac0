import MantelCatalog
import MantelCore
import MantelDisk
import MantelReplication
import MantelSummary

/// Challenges of peers: drawn, and answered from the files here.
extension Effects {
  func drawChallenge(_ link: LinkID, engine: Engine) {
    var random = SystemRandomNumberGenerator()
    let draw = ChallengeDraw(
      position: SummaryHash.sha256((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) }),
      part: random.next(),
      nonce: (0..<Challenge.nonceBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    start { await engine.handle(.challengeDrawn(link, draw)) }
  }

  func prove(_ challenge: Challenge, isWhole: Bool, for link: LinkID, engine: Engine) {
    start { [self] in
      let answer: Digest256?
      do {
        answer = try await scrubbing.run { [self] in
          try self.answer(challenge, isWhole: isWhole, engine.catalog)
        }
      } catch {
        logger.debug("a challenge could not be prepared", metadata: ["error": "\(error)"])
        answer = nil
      }
      await engine.handle(.proved(link, challenge, answer))
    }
  }

  /// From the first file whose whole bytes are the content's, or whose stamp is the recorded one if only the range is
  /// read; nil when there is none.
  private func answer(_ challenge: Challenge, isWhole: Bool, _ catalog: Catalog) throws -> Digest256? {
    let (offset, count) = (challenge.offset, Int(challenge.count))
    for file in try catalog.replicaFiles(of: challenge.content) {
      var stamp = file.stamp
      if isWhole {
        guard let hashed = try? replica.hash(path: file.path, shouldContinue: { isRunning }),
          hashed.isStable, hashed.content == challenge.content
        else { continue }
        stamp = hashed.stampAfter
      }
      let bytes = try replica.read(path: file.path, offset: offset, count: count, expecting: stamp)
      if bytes.count == count { return challenge.answer(from: bytes) }
    }
    let roots = try catalog.folders().filter { !$0.isRemoved }
    for file in try catalog.ownFiles(of: challenge.content) {
      guard let root = roots.first(where: { $0.id == file.folder })?.root else { continue }
      var stamp = file.stamp
      if isWhole {
        guard
          let hashed = try? FileReader.hash(
            root: root, path: file.path, fsync: false, shouldContinue: { isRunning }),
          hashed.isStable, hashed.content == challenge.content
        else { continue }
        stamp = hashed.stampAfter
      }
      let bytes = try FileReader.read(
        root: root, path: file.path, offset: offset, count: count, expecting: stamp)
      if bytes.count == count { return challenge.answer(from: bytes) }
    }
    return nil
  }
}

extension Challenge {
  /// SHA-256(nonce | bytes of the range).
  func answer(from bytes: [UInt8]) -> Digest256 { SummaryHash.sha256(nonce + bytes) }
}
