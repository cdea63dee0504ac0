import MantelControl
import MantelCore
import MantelReplication

extension AgentControl {
  private static let requestExamples = 5

  func forgetRequests() async throws(ControlError) -> [ForgetRequestAnswer] {
    try await answering {
      let names = try await Names(engine)
      return try await engine.ask { replicator in
        try replicator.openForgetRequests().map { request in
          var photos = FileCount(files: 0, bytes: 0)
          var examples: [PathText] = []
          var ids: [EntryID] = []
          for content in request.contents {
            for entry in try replicator.ownEntries(of: content) {
              ids.append(entry.id)
              photos.files += 1
              photos.bytes += entry.entry.size
              if examples.count < Self.requestExamples {
                examples.append(PathText(bytes: names.path(of: entry)))
              }
            }
          }
          return ForgetRequestAnswer(
            machine: names.name(request.requester), id: request.requester.hex, photos: photos,
            examples: examples, consent: Consent.to(ids.lazy.map(\.digest)))
        }
      }
    }
  }

  func decide(_ decision: ForgetDecision) async throws(ControlError) -> AcceptAnswer {
    try await answering {
      let names = try await Names(engine)
      let requester = try names.machine(decision.machine)
      let (entries, numbers) = try await engine.ask { replicator in
        let asked = try replicator.openForgetRequests().filter { $0.requester == requester }
        let entries = try asked.flatMap(\.contents).flatMap { try replicator.ownEntries(of: $0) }
        return (entries, asked.flatMap(\.numbers))
      }
      if let given = decision.consent, given != Consent.to(entries.lazy.map(\.id.digest)) {
        throw Self.changed("\(names.name(requester)) asks for other photos by now")
      }
      if decision.grant, !entries.isEmpty {
        try await carryOut([key.machine: entries.map(\.id)], isUndo: false)
      }
      // After the heads: a crash in between asks again.
      try await engine.ask {
        try $0.decideForgetRequests(of: requester, numbers, decision.grant ? .granted : .declined)
      }
      return AcceptAnswer(name: names.name(requester), accepted: decision.grant ? entries.count : 0)
    }
  }

  /// A sentence for each machine that asks.
  func requestNotices() async throws -> [String] {
    // By contents: whoever asks must not make each status walk through its photos.
    let asked = try await engine.ask { try $0.openForgetRequests() }
    guard !asked.isEmpty else { return [] }
    let names = try await Names(engine)
    return asked.map { request in
      "\(names.name(request.requester)) asks to forget \(request.contents.count) of this machine's photos too: "
        + "`mantel forget --requests`"
    }
  }
}
