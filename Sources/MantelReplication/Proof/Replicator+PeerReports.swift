import MantelCore
import MantelHousehold
import MantelSummary

/// The other members as this machine knows them, and what they lack.
extension Replicator {
  mutating func isProvenByReachable(now: Now) -> Bool {
    let reachable = Set(links.values.map(\.machine)).filter {
      (records[$0]?.record.role ?? .full) == .full
    }
    guard !reachable.isEmpty else { return false }
    for peer in reachable where !proves(peer, holds: machine) { return false }
    return true
  }

  mutating func peerReports(now: Now) throws(StoreError) -> [PeerReport] {
    var reports: [PeerReport] = []
    for member in roster.members where member.machine != machine {
      let record = records[member.machine]?.record
      let link = links.values.first { $0.machine == member.machine }
      let lacks = try lacks(member.machine, link: link, now: now)
      let sets = contents.sets(of: member.machine)
      var isComplete = true
      for owner in libraries.keys.sorted() where owner == member.machine || record?.role != .source {
        if !roster.isListed(owner) { continue }
        if !roster.isMember(owner), libraries[owner]?.installed == nil { continue }
        if !proves(member.machine, holds: owner) { isComplete = false }
      }
      reports.append(
        PeerReport(
          machine: member.machine, name: record?.name ?? member.name,
          role: record?.role ?? .full, isConnected: link != nil, isComplete: isComplete,
          lacksFiles: isComplete ? 0 : lacks.files, lacksBytes: isComplete ? 0 : lacks.bytes,
          attested: attesting.newest[member.machine]?.record.time, program: record?.program,
          clockSkew: link.map {
            .nanoseconds($0.peerTime.nanoseconds - $0.openedAt.wall.nanoseconds)
          },
          libraryFiles: contents.index.count(of: sets.wanted),
          heldHere: contents.index.count(of: sets.heldWanted)))
    }
    return reports
  }

  /// What a peer lacks of the other libraries: by its live connection what it cannot serve, else by its attestation.
  /// Bytes of more than a few files are the library's mean size times their number.
  private mutating func lacks(
    _ peer: MachineID, link: Link?, now: Now
  ) throws(StoreError) -> (files: Int, bytes: UInt64) {
    var files = 0
    var bytes: UInt64 = 0
    let isSource = records[peer]?.record.role == .source
    for owner in libraries.keys.sorted() where owner != peer && !isSource {
      let sets = contents.sets(of: owner)
      if let link, link.knowsContents {
        let (count, size) = try size(of: sets.wanted, notIn: link.contents, owner)
        files += count
        bytes += size
      } else if let statement = attesting.newest[peer]?.record.libraries.first(where: {
        $0.library == owner
      }) {
        files += Int(clamping: statement.missingCount)
        bytes += statement.missingBytes
      } else {
        files += contents.index.count(of: sets.wanted)
        bytes += libraries[owner]?.installed?.record.counts.bytes ?? 0
      }
    }
    return (files, bytes)
  }

  private mutating func size(
    of wanted: SetHandle, notIn held: SetHandle, _ owner: MachineID
  ) throws(StoreError) -> (files: Int, bytes: UInt64) {
    var files = 0
    var few: [ContentID] = []
    contents.index.forEach(in: [wanted], notIn: [held], from: .zero) { id in
      files += 1
      if few.count < settings.exactSizes { few.append(ContentID(id)) }
      return true
    }
    if files == few.count { return (files, try totalSize(of: few, owner)) }
    let order = libraries[owner]?.order ?? .none
    if let mean = sizes.mean(of: owner, at: order) { return (files, UInt64(mean * Double(files))) }
    let mean = try meanSize(of: wanted, owner)
    sizes.sampled(mean, of: owner, at: order)
    return (files, UInt64(mean * Double(files)))
  }

  private func meanSize(of wanted: SetHandle, _ owner: MachineID) throws(StoreError) -> Double {
    var sample: [ContentID] = []
    contents.index.forEach(in: [wanted], notIn: [], from: .zero) { id in
      sample.append(ContentID(id))
      return sample.count < settings.sizeSample
    }
    guard !sample.isEmpty else { return 0 }
    return Double(try totalSize(of: sample, owner)) / Double(sample.count)
  }

  private func totalSize(of contents: [ContentID], _ owner: MachineID) throws(StoreError) -> UInt64 {
    var bytes: UInt64 = 0
    for content in contents { bytes += try store.entries(owner, of: content).first?.entry.size ?? 0 }
    return bytes
  }
}
