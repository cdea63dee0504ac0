import Foundation
import Hummingbird
import Logging
import MantelControl
import NIOCore

extension Response {
  static func json(
    _ value: some Encodable, status: HTTPResponse.Status = .ok
  ) throws -> Response {
    var body = ByteBuffer(bytes: try ControlCoding.data(value))
    // `curl` ends on a line of its own.
    body.writeString("\n")
    return Response(
      status: status, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: body))
  }
}

extension ControlError.Code {
  var status: HTTPResponse.Status {
    switch self {
    case .usage: .badRequest
    case .notFound: .notFound
    case .conflict: .conflict
    case .notRunning: .serviceUnavailable
    case .internalError: .internalServerError
    }
  }
}

/// Turns every failure into a `ControlError` as JSON.
struct ErrorsAsJSON: RouterMiddleware {
  @concurrent func handle(
    _ request: Request, context: ControlContext,
    next: @concurrent (Request, ControlContext) async throws -> Response
  ) async throws -> Response {
    do {
      return try await next(request, context)
    } catch let error as ControlError {
      return try .json(error, status: error.code.status)
    } catch let error as HTTPError {
      return try .json(Self.error(error, request), status: error.status)
    } catch {
      context.logger.error("a request failed", metadata: ["error": "\(error)"])
      return try .json(
        ControlError(code: .internalError, message: "\(error)"), status: .internalServerError)
    }
  }

  private static func error(_ error: HTTPError, _ request: Request) -> ControlError {
    let code: ControlError.Code =
      switch error.status.code {
      case 404: .notFound
      case 400..<500: .usage
      default: .internalError
      }
    let fallback = "\(error.status.reasonPhrase): \(request.method.rawValue) \(request.uri.path)"
    return ControlError(code: code, message: error.body ?? fallback)
  }
}
