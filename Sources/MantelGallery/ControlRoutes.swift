import Foundation
import Hummingbird
import MantelControl
import NIOCore
import ServiceLifecycle

/// The API of `ControlService` as routes; `ControlClient` documents them. Built apart from any binding.
struct ControlRoutes: Sendable {
  let service: any ControlService

  /// For the Unix socket: only the agent's user gets in.
  func router() -> Router<ControlContext> {
    let router = Router(context: ControlContext.self)
    router.addMiddleware {
      ErrorsAsJSON()
      OwnUserOnly()
    }
    add(to: router.group("v1"))
    return router
  }

  private func add(to group: RouterGroup<ControlContext>) {
    group.get("status", use: status)
    group.get("peers") { request, _ in
      try await Response.json(service.peers(isPinging: Self.query(request, "ping") == "1"))
    }
    group.post("peers", use: addPeer)
    group.delete("peers/:name") { _, context in
      try await Response.json(service.removePeer(name: Self.name(context)))
    }
    group.post("peers/:name/accept") { _, context in
      try await Response.json(service.acceptPeer(name: Self.name(context)))
    }
    group.post("invite", use: invite)
    group.get("folders") { _, _ in try await Response.json(service.folders()) }
    group.post("folders") { request, _ in
      try await Response.json(service.addFolder(Self.body(request)))
    }
    group.delete("folders/:name") { _, context in
      try await Response.json(service.removeFolder(name: Self.name(context)))
    }
    group.post("folders/:name/accept") { _, context in
      try await Response.json(service.acceptFolder(name: Self.name(context)))
    }
    group.get("files", use: files)
    group.get("where", use: locate)
    group.get("skipped") { request, _ in
      try await Response.json(service.skipped(after: Self.query(request, "after")))
    }
    group.get("sums") { request, _ in
      try await Response.json(
        service.sums(machine: Self.query(request, "machine"), after: Self.query(request, "after")))
    }
    group.get("at-risk") { request, _ in
      try await Response.json(
        service.atRisk(machine: Self.query(request, "machine"), after: Self.query(request, "after")))
    }
    group.post("jobs") { request, _ in
      try await Response.json(service.startJob(Self.body(request)))
    }
    group.get("jobs/:name", use: job)
    group.delete("jobs/:name") { _, context in
      try await Response.json(service.cancelJob(id: Self.name(context)))
    }
    group.post("forget") { request, _ in
      try await Response.json(service.forget(Self.body(request)))
    }
    group.get("forget/requests") { _, _ in try await Response.json(service.forgetRequests()) }
    group.post("forget/requests") { request, _ in
      let decision: ForgetDecision = try await Self.body(request)
      return try await Response.json(service.decide(decision))
    }
    group.get("drops") { _, _ in try await Response.json(service.drops()) }
    group.post("drops") { request, _ in
      let decision: DropDecision = try await Self.body(request)
      return try await Response.json(service.decide(decision))
    }
    addVerify(to: group)
    addMembership(to: group)
  }

  private func addMembership(to group: RouterGroup<ControlContext>) {
    group.post("role") { request, _ in
      try await Response.json(service.changeRole(Self.body(request)))
    }
    group.post("leave") { request, _ in
      try await Response.json(service.leave(Self.body(request)))
    }
    group.get("release/preview") { _, _ in try await Response.json(service.releasePreview()) }
    group.post("release") { _, _ in try await Response.json(service.startRelease()) }
    group.get("release") { _, _ in try await Response.json(service.releaseProgress()) }
    group.delete("release") { _, _ in try await Response.json(service.stopRelease()) }
  }

  private func addVerify(to group: RouterGroup<ControlContext>) {
    group.post("verify") { request, _ in
      try await Response.json(service.startVerify(Self.body(request)))
    }
    group.get("verify") { _, _ in try await Response.json(service.verifyProgress()) }
    group.delete("verify") { _, _ in try await Response.json(service.stopVerify()) }
    group.get("verify/bad") { request, _ in
      try await Response.json(service.badFiles(after: Self.query(request, "after")))
    }
    group.post("verify/acknowledge") { _, _ in
      try await service.acknowledgeBadFiles()
      return Response(status: .noContent)
    }
  }

  // MARK: Handlers

  @Sendable private func status(_ request: Request, _ context: ControlContext) async throws -> Response {
    guard let text = Self.query(request, "wait") else {
      return try await .json(service.status(wait: nil))
    }
    guard let wait = Int(text), (0...ControlLimits.waitSeconds).contains(wait) else {
      throw ControlError(
        code: .usage, message: "wait is a number of seconds, at most \(ControlLimits.waitSeconds)")
    }
    let service = service
    // A stopping agent answers with what is true now instead of holding its stop up.
    let answer = try await cancelWhenGracefulShutdown { try await service.status(wait: wait) }
    return try .json(answer)
  }

  @Sendable private func addPeer(_ request: Request, _ context: ControlContext) async throws -> Response {
    let body: AddressRequest = try await Self.body(request)
    try await service.addPeer(address: body.address)
    return Response(status: .noContent)
  }

  @Sendable private func invite(_ request: Request, _ context: ControlContext) async throws -> Response {
    let body: InviteRequest =
      try await Self.optionalBody(request) ?? InviteRequest(seconds: ControlLimits.inviteSeconds)
    return try await .json(service.invite(seconds: body.seconds))
  }

  @Sendable private func files(_ request: Request, _ context: ControlContext) async throws -> Response {
    let query = FilesQuery(
      pattern: Self.query(request, "pattern"), machine: Self.query(request, "machine"),
      retired: Self.query(request, "retired") == "true", after: Self.query(request, "after"))
    return try await .json(service.files(query))
  }

  @Sendable private func locate(_ request: Request, _ context: ControlContext) async throws -> Response {
    let query = WhereQuery(
      sha256: Self.query(request, "sha256"), fileBase64: Self.query(request, "fileBase64"))
    return try await .json(service.locate(query))
  }

  @Sendable private func job(_ request: Request, _ context: ControlContext) async throws -> Response {
    let (after, wait) = (Self.query(request, "after") ?? "0", Self.query(request, "wait") ?? "0")
    guard let after = Int(after), after >= 0, let wait = Int(wait),
      (0...ControlLimits.jobWaitSeconds).contains(wait)
    else {
      throw ControlError(
        code: .usage,
        message: "after is a position, and wait a number of seconds, at most \(ControlLimits.jobWaitSeconds)")
    }
    let id = try Self.name(context)
    let service = service
    let answer = try await cancelWhenGracefulShutdown {
      try await service.job(id: id, after: after, wait: wait)
    }
    return try .json(answer)
  }

  // MARK: Parts of a request

  private static func query(_ request: Request, _ name: String) -> String? {
    request.uri.queryParameters.get(name)
  }

  private static func name(_ context: ControlContext) throws -> String {
    guard let name = try context.parameters.require("name").removingPercentEncoding else {
      throw ControlError(code: .usage, message: "a name is percent-encoded UTF-8")
    }
    return name
  }

  private static func body<Body: Decodable>(_ request: Request) async throws -> Body {
    guard let body: Body = try await optionalBody(request) else {
      throw ControlError(code: .usage, message: "the request needs a body of JSON")
    }
    return body
  }

  private static func optionalBody<Body: Decodable>(_ request: Request) async throws -> Body? {
    let buffer: ByteBuffer
    do {
      buffer = try await request.body.collect(upTo: ControlLimits.requestBytes)
    } catch is NIOTooManyBytesError {
      throw ControlError(
        code: .usage, message: "the request's body has more than \(ControlLimits.requestBytes) bytes")
    }
    guard buffer.readableBytes > 0 else { return nil }
    do {
      return try ControlCoding.value(Body.self, from: Data(buffer.readableBytesView))
    } catch {
      throw ControlError(code: .usage, message: "the request's body is not what is asked for: \(error)")
    }
  }
}
