package import MantelCore
import MantelHousehold
import MantelSummary

/// One connection to a peer.
struct Link: Sendable {
  let machine: MachineID
  /// The heads that the peer can serve.
  var heads: [MachineID: HeadOrder]
  /// What the peer has, over the shared content array.
  var contents: SetHandle
  /// False until the holdings were compared: nothing may be read from an absence before that.
  var knowsContents = false
  var jobs: [LinkJob: JobPurpose] = [:]
  var fetching = LinkFetching()
  var peerTime: WallTime
  var openedAt: Now

  enum JobPurpose: Hashable, Sendable {
    case library(MachineID)
    case holdings
  }
}

extension Replicator {
  mutating func opened(_ id: LinkID, _ opening: LinkOpening, now: Now) throws(StoreError) {
    let backlog = self.opening.removeValue(forKey: id) ?? []
    guard roster.mayConnect(opening.machine) else {
      actions.append(.link(id, .close(.notMember)))
      return
    }
    // The peer's set keeps no hash: nobody asks for its root.
    let set = contents.index.addSet(.holdings(household))
    links[id] = Link(
      machine: opening.machine, heads: opening.heads, contents: set, peerTime: opening.time,
      openedAt: now)
    for command in backlog { actions.append(.link(id, command)) }
    let mine = holdings()
    if UInt64(mine.count) == opening.holdingsCount, mine.root == opening.holdingsRoot {
      adoptHoldings(of: id)
    } else if opening.isDialer {
      let job = nextJob()
      links[id]?.jobs[job] = .holdings
      let snapshot = contents.index.snapshot(of: contents.available)
      actions.append(.link(id, .reconcile(job, .holdings, mine: snapshot)))
    }
    transfers.isWorthLooking = true
  }

  mutating func closed(_ id: LinkID) {
    opening[id] = nil
    guard let link = links.removeValue(forKey: id) else { return }
    contents.index.removeSet(link.contents)
    for owner in libraries.keys where libraries[owner]?.fetch?.link == id {
      libraries[owner]?.fetch = nil
    }
    for unit in link.fetching.orders.keys { transfers.release(unit) }
    // What it was asked for is asked of the others now.
    lookAgain()
  }

  // MARK: Holdings of the peer

  /// Both sides have the same: the peer's set is ours.
  private mutating func adoptHoldings(of id: LinkID) {
    guard let link = links[id] else { return }
    var ids: [Digest256] = []
    contents.index.forEach(in: [contents.available], notIn: [], from: .zero) {
      ids.append($0)
      return true
    }
    contents.index.insert(sorted: ids, into: link.contents)
    links[id]?.knowsContents = true
  }

  mutating func foundHoldings(theirsOnly: [Digest256], mineOnly: [Digest256], link id: LinkID) {
    guard let link = links[id] else { return }
    if !link.knowsContents {
      // What neither list names both have; lists come in pieces, so start from ours and correct.
      adoptHoldings(of: id)
    }
    for content in theirsOnly { contents.index.insert(content, into: link.contents) }
    for content in mineOnly { contents.index.remove(content, from: link.contents) }
    links[id]?.fetching.isExhausted = false
    transfers.isWorthLooking = true
  }

  mutating func availabilityChanged(_ id: LinkID, added: [ContentID], removed: [ContentID]) {
    guard let link = links[id] else { return }
    for content in added { contents.index.insert(content.digest, into: link.contents) }
    for content in removed { contents.index.remove(content.digest, from: link.contents) }
    links[id]?.fetching.isExhausted = false
    transfers.isWorthLooking = true
  }

  // MARK: Roster and records

  mutating func received(
    roster statements: [[UInt8]], from link: LinkID?, now: Now
  ) throws(StoreError) {
    var decoded: [SignedStatement] = []
    for bytes in statements {
      do {
        decoded.append(try SignedStatement(bytes: bytes))
      } catch {
        actions.append(.warn(.rejectedStatement("\(error)")))
      }
    }
    var news = roster.merge(decoded)
    guard !news.isEmpty else { return }
    // A vote that cannot be signed is cast when the next statement comes.
    let votes = (try? roster.countersigning(by: key, now: now.wall)) ?? []
    news += roster.merge(votes)
    try store.addStatements(news.map { ($0.id, $0.bytes) })
    for member in roster.members where libraries[member.machine] == nil {
      libraries[member.machine] = emptyLibrary(member.machine)
    }
    // What a removed machine attested counts no more.
    recountSafe(now: now)
    actions.append(.rosterChanged)
    attesting.isChanged = true
    sendToAll(except: link, .announceRoster(news.map(\.bytes)))
    // Last, so that a removed machine hears of it.
    for (id, peer) in links where !roster.mayConnect(peer.machine) {
      actions.append(.link(id, .close(.notMember)))
    }
  }

  mutating func received(
    _ record: Signed<MachineRecord>, from link: LinkID
  ) throws(StoreError) {
    let subject = record.record.machine
    guard subject != machine, roster.verify(record),
      record.record.number > records[subject]?.record.number ?? 0
    else { return }
    try keep(record)
    sendToAll(except: link, .announceRecord(record))
  }

  /// This machine's own record changed: it is signed with the next number and told to all.
  mutating func changed(_ record: MachineRecord) throws(StoreError) {
    var record = record
    if var known = records[machine]?.record {
      let number = known.number
      known.number = record.number
      guard known != record else { return }
      record.number = number + 1
    } else {
      record.number = 1
    }
    role = record.role
    guard let signed = sign(record) else { return }
    try keep(signed)
    sendToAll(.announceRecord(signed))
  }

  private mutating func keep(_ record: Signed<MachineRecord>) throws(StoreError) {
    try store.putRecord(record)
    records[record.record.machine] = record
    filing.hasUnfiled = true
  }

  /// Nil when the key refuses, which it does not for a well-formed record; the caller goes on without.
  func sign<Record: SignableRecord & Hashable>(_ record: Record) -> Signed<Record>? {
    try? key.sign(record, in: household)
  }

  // MARK: Views for the agent

  /// Newest machine records, for a new connection's news.
  package var allRecords: [Signed<MachineRecord>] {
    records.keys.sorted().compactMap { records[$0] }
  }

  package var allAttestations: [Signed<Attestation>] {
    attesting.newest.keys.sorted().compactMap { attesting.newest[$0] }
  }
}

extension Replicator {
  package func folder(_ id: FolderID) -> Folder? { ledger.folders[id] }
  package var folders: [Folder] { ledger.folders.values.sorted { $0.name < $1.name } }
  package func isScanned(_ id: FolderID) -> Bool { ledger.scanned.contains(id) }
}
