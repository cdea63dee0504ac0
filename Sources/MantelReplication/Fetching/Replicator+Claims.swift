import MantelCore
import MantelSummary

/// What a library says of a content's bytes. Only the bytes can prove it: whoever names a content may say anything, and the
/// machine that has it is not to blame.
struct ContentClaim: Hashable, Sendable {
  let size: UInt64
  let manifest: Digest256?
}

extension MissingContent {
  var claim: ContentClaim { ContentClaim(size: size, manifest: manifest) }
}

extension LargeTransfer {
  /// By what its blocks are judged: after a restart that is the manifest that was kept.
  var claim: ContentClaim {
    manifest.map { ContentClaim(size: $0.size, manifest: SummaryHash.sha256($0.hashedBytes)) }
      ?? missing.claim
  }
}

/// Two libraries may say different things of a content. Then one of them lies, and the content is asked for by the word of
/// each in turn: one that got nothing is not believed before the others were tried.
extension Replicator {
  /// The content as it is to be asked for now.
  func believed(_ candidate: MissingContent) throws(StoreError) -> MissingContent {
    guard let doubted = transfers.doubtedClaims[candidate.content], doubted.contains(candidate.claim) else {
      return candidate
    }
    return try claims(of: candidate.content).first { !doubted.contains($0.claim) } ?? candidate
  }

  /// Nothing was got by a claim. True when another is left, by which the content is asked for from now on: then it is not
  /// said that the peer is to blame.
  mutating func doubt(_ claim: ContentClaim, of content: ContentID) throws(StoreError) -> Bool {
    // What nobody wants any more is among them.
    if transfers.doubtedClaims.count >= settings.doubtedClaims { transfers.doubtedClaims.removeAll() }
    let claims = try claims(of: content).map(\.claim)
    let doubted = (transfers.doubtedClaims[content] ?? []).union([claim])
    guard claims.contains(where: { !doubted.contains($0) }) else {
      transfers.doubtedClaims[content] = nil
      return false
    }
    transfers.doubtedClaims[content] = doubted
    // Units that wait there have the length of the claim before.
    unshare(content)
    if transfers.large[content] != nil {
      try abandonLarge(content)
      actions.append(.discardStaged(content))
    }
    reconsider(content)
    return true
  }

  /// A block, which nothing but the claim's manifest proves, was not got over a link, which is not asked for the content any
  /// more. True when libraries disagree about it: then it is not known who is wrong, and once nobody can be asked for the
  /// rest the next claim is tried, of all.
  mutating func blockFailed(_ content: ContentID) throws(StoreError) -> Bool {
    guard let claim = transfers.large[content]?.claim,
      try claims(of: content).contains(where: { $0.claim != claim })
    else { return false }
    guard !links.keys.contains(where: { isFetchable(content, from: $0) }) else { return true }
    if try doubt(claim, of: content) {
      for id in links.keys.sorted() { links[id]?.fetching.putOff.forget(content) }
      reconsider(content)
    }
    return true
  }

  /// What most libraries say comes first.
  private func claims(of content: ContentID) throws(StoreError) -> [MissingContent] {
    let claims = try store.claims(of: content)
    guard claims.count > 2 else { return claims }
    let votes = Dictionary(claims.map { ($0.claim, 1) }, uniquingKeysWith: +)
    return claims.enumerated().sorted { first, second in
      let (more, less) = (votes[first.element.claim] ?? 0, votes[second.element.claim] ?? 0)
      return more == less ? first.offset < second.offset : more > less
    }.map(\.element)
  }
}
