import Foundation
import Logging
package import MantelControl
import MantelGallery
import ServiceLifecycle

/// A temporary directory that ends with the body.
package func withTemporaryDirectory<Answer>(
  _ body: (String) async throws -> Answer
) async throws -> Answer {
  let directory = "/tmp/mantel-\(UUID().uuidString.prefix(13))"
  try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: directory) }
  return try await body(directory)
}

/// Serves `control` on `socket` while the body runs, and stops it gracefully before it returns.
package func withServer<Answer: Sendable>(
  _ control: any ControlService, at socket: String, _ body: () async throws -> Answer
) async throws -> Answer {
  let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  let (running, isRunning) = AsyncStream<Void>.makeStream()
  let server = ControlServer(service: control, socket: socket, logger: logger) { isRunning.finish() }
  let group = ServiceGroup(
    configuration: ServiceGroupConfiguration(services: [server], logger: logger))
  let task = Task {
    // Also when it cannot bind: the body must not wait for ever.
    defer { isRunning.finish() }
    try await group.run()
  }
  for await _ in running {}
  let result: Result<Answer, any Error>
  do { result = .success(try await body()) } catch { result = .failure(error) }
  await group.triggerGracefulShutdown()
  try await task.value
  return try result.get()
}

/// A home with a fake agent in it: the body gets the directory for `--home`.
package func withFakeAgent<Answer: Sendable>(
  _ control: FakeControl, _ body: (String) async throws -> Answer
) async throws -> Answer {
  try await withTemporaryDirectory { directory in
    try await withServer(control, at: directory + "/agent.sock") { try await body(directory) }
  }
}
