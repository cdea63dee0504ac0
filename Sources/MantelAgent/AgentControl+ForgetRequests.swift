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
          for content in request.contents {
            for entry in try replicator.ownEntries(of: content) {
              photos.files += 1
              photos.bytes += entry.entry.size
              if examples.count < Self.requestExamples {
                examples.append(PathText(bytes: names.path(of: entry)))
              }
            }
          }
          return ForgetRequestAnswer(
            machine: names.name(request.requester), photos: photos, examples: examples)
        }
      }
    }
  }

  func decide(_ decision: ForgetDecision) async throws(ControlError) -> AcceptAnswer {
    try await answering {
      let names = try await Names(engine)
      let requester = try names.machine(decision.machine)
      let ids = try await engine.ask { replicator in
        let asked = try replicator.openForgetRequests().filter { $0.requester == requester }
        return try asked.flatMap(\.contents).flatMap { try replicator.ownEntries(of: $0).map(\.id) }
      }
      if decision.grant, !ids.isEmpty { try await carryOut(ids, isUndo: false) }
      // After the heads: a crash in between asks again.
      try await engine.ask {
        try $0.decideForgetRequests(of: requester, decision.grant ? .granted : .declined)
      }
      return AcceptAnswer(name: names.name(requester), accepted: decision.grant ? ids.count : 0)
    }
  }

  /// A sentence for each machine that asks.
  func requestNotices() async throws -> [String] {
    try await forgetRequests().map { request in
      "\(request.machine) asks to forget \(request.photos.files) of this machine's photos too: "
        + "`mantel forget --requests`"
    }
  }
}
