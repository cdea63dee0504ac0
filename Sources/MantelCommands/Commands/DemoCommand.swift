import ArgumentParser
import Foundation
import Glibc
import MantelAgent
import UnixSignals

/// `mantel demo`
struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Three agents on this machine show it working.",
    discussion: """
      They found a throw-away household, copy the photos of DIR (only read) or a few generated ones to \
      each other, and every copy is compared with its original.
      """)

  @Argument(help: "Photos for the first machine (default: generated ones).")
  var directory: String?
  @Flag(help: "Leave the machines' directories there to look at.")
  var keep = false
  /// Taken as every command takes it; the demo's machines have homes of their own.
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  private enum Outcome: Sendable {
    case finished(DemoReport)
    case failed(any Error)
    case interrupted
  }

  func run() async throws {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let demo = try Demo(directory: directory.map(Home.absolute), console: Console.current)
    let keep = keep
    let outcome = await withTaskGroup(of: Outcome?.self) { group in
      group.addTask {
        do { return .finished(try await demo.play(keep: keep)) } catch { return .failed(error) }
      }
      group.addTask {
        for await _ in signals {
          // Agents that are gone end every step of the play that waits for them.
          demo.end(keep: keep)
          return .interrupted
        }
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      return first
    }
    demo.end(keep: keep)
    switch outcome {
    case .finished(let report): try output.print(report, report.text)
    case .failed(let error): throw error
    case .interrupted, nil: throw CommandFailure(.interrupted, "interrupted")
    }
  }
}
