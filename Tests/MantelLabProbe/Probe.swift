import Dispatch
import Foundation
import Logging
import MantelCore
import MantelDiscovery

/// Publishes and browses inside a lab machine, one event a line on stdout, until SIGTERM.
///
/// Usage: `mantel-lab-probe [NAME PORT [invite] [key=value]...]`; without a name it only browses. SIGUSR1 adds `u=1` to
/// the TXT record. `mantel-lab-probe power-cut DIR` stops the ext4 filesystem of a directory at once, and
/// `mantel-lab-probe hostile HOUSEHOLD SEED KEY` says on stdout what a hostile member with that key might say to another.
@main
struct Probe {
  static func main() async {
    switch CommandLine.arguments.dropFirst().first {
    case "power-cut": exit(PowerCut.run(Array(CommandLine.arguments.dropFirst(2))))
    case "hostile": exit(HostileMember.run(Array(CommandLine.arguments.dropFirst(2))))
    default: await browse()
    }
  }

  private static func browse() async {
    var logger = Logger(label: "probe", factory: { StreamLogHandler.standardError(label: $0) })
    logger.logLevel = .debug
    let configuration = DiscoveryConfiguration { taken in
      var renamed = taken
      renamed.instance += "-\(UInt16.random(in: .min ... .max))"
      return renamed
    }
    let discovery = Discovery(configuration: configuration, logger: logger)
    let words = Array(CommandLine.arguments.dropFirst())
    discovery.publish(advertisement(words))
    let sources = [
      onSignal(SIGTERM) { discovery.close() },
      onSignal(SIGUSR1) { discovery.publish(advertisement(words + ["u=1"])) },
    ]
    for await event in discovery.events { say(text(event)) }
    say("closed")
    for source in sources { source.cancel() }
  }

  private static func onSignal(_ number: Int32, _ body: @escaping @Sendable () -> Void)
    -> any DispatchSourceSignal
  {
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler(handler: body)
    source.resume()
    return source
  }

  /// Unbuffered: the test reads along.
  private static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

  private static func advertisement(_ words: [String]) -> Advertisement? {
    guard words.count >= 2, let port = UInt16(words[1]) else { return nil }
    var txt = ["txtvers": "1"]
    for word in words.dropFirst(2) {
      guard let equals = word.firstIndex(of: "=") else { continue }
      txt[String(word[..<equals])] = String(word[word.index(after: equals)...])
    }
    return Advertisement(instance: words[0], port: port, txt: txt, isInviting: words.contains("invite"))
  }

  private static func text(_ event: DiscoveryEvent) -> String {
    switch event {
    case .daemon(.starting): "daemon starting"
    case .daemon(.unavailable(let reason)): "daemon unavailable: \(reason)"
    case .daemon(.running(.nothing)): "daemon running"
    case .daemon(.running(.registering)): "registering"
    case .daemon(.running(.published(let instance))): "published \(instance)"
    case .daemon(.running(.refused(let reason))): "refused: \(reason)"
    case .lost(let instance): "lost \(instance)"
    case .found(let service):
      "found \(service.instance) \(service.isJoin ? "inviting" : "-") "
        + service.addresses.map(\.description).joined(separator: ",") + " "
        + service.txt.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }
  }
}
