import ArgumentParser
import MantelControl

/// `mantel peers`
struct PeersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peers", abstract: "The machines of the household, and strangers nearby.",
    subcommands: [Show.self, Add.self, Accept.self, Remove.self], defaultSubcommand: Show.self)

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List all machines, or show one (default).")
    @Argument(help: "A machine's name, or the first digits of its id.")
    var name: String?
    @Flag(help: "Measure how long each connection takes to answer.")
    var ping = false
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let answer = try await home.asking { try await $0.peers(isPinging: ping) }
      // Ages are told by the agent's clock, as all its times are.
      let now = try await home.asking { try await $0.status(wait: nil) }.time
      guard let name else {
        return try output.print(answer, PeersText.table(answer, now: now, isPinged: ping))
      }
      let peers = PeersText.matching(name, in: answer)
      guard let peer = peers.first, peers.count == 1 else {
        throw ControlError(
          code: .notFound,
          message: peers.isEmpty
            ? "no other machine is called \(name); `mantel peers` lists them"
            : "\(peers.count) machines are called \(name): give the first digits of an id")
      }
      try output.print(peer, PeersText.details(peer, now: now))
    }
  }

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Always try this address too, where discovery does not reach.")
    @Argument(help: ArgumentHelp("Address of a machine.", valueName: "host:port"))
    var address: String
    @OptionGroup var home: HomeOptions

    func run() async throws {
      try await home.changing { try await $0.addPeer(address: address) }
      Console.current.say("\(Printable.text(address)) is tried from now on")
    }
  }

  struct Accept: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Let a machine's library grow, by as much as it asks for.",
      discussion: """
        More than 1,000,000 new files of one machine within a day wait until somebody on this one says that they are \
        meant: `mantel status` names the machine and the number. All other machines' photos are copied meanwhile.
        """)
    @Argument(help: "A machine's name, or the first digits of its id.")
    var name: String
    @OptionGroup var consent: ConsentOptions
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let question =
        "copy as many new files of \(Printable.text(name)) to this machine as `mantel status` says?"
      guard try Console.current.confirm(question, yes: consent.yes) else {
        throw CommandFailure(.notComplete, "nothing was accepted")
      }
      let answer = try await home.asking { try await $0.acceptPeer(name: name) }
      try output.print(
        answer, "accepted \(Quantity.files(answer.accepted)) more of \(Printable.text(answer.name))\n")
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Remove a machine from the household, for ever; or drop a fixed address.",
      discussion: """
        A removed machine is disconnected everywhere and never let in again with its key. Its photos \
        stay on all other machines.
        """)
    @Argument(help: "A machine's name, the first digits of its id, or HOST:PORT.")
    var name: String
    @OptionGroup var consent: ConsentOptions
    @OptionGroup var home: HomeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let console = Console.current
      // An address is dropped without a question: it can be added again.
      if !PeerNames.looksLikeAddress(name) {
        let question = "remove \(Printable.text(name)) from the household, for ever?"
        guard try console.confirm(question, yes: consent.yes) else {
          throw CommandFailure(.notComplete, "nothing was removed")
        }
      }
      let answer = try await home.changing { try await $0.removePeer(name: name) }
      let what = answer.kind == "address" ? "address" : "machine"
      try output.print(answer, "removed the \(what) \(Printable.text(answer.name))\n")
      if !answer.admitted.isEmpty {
        let names = answer.admitted.map(Printable.text).joined(separator: ", ")
        console.say("it had admitted \(names): they stay; remove them too if you do not know them")
      }
    }
  }
}

enum PeerNames {
  /// `HOST:PORT`, as opposed to a machine's name.
  static func looksLikeAddress(_ name: String) -> Bool {
    guard let colon = name.lastIndex(of: ":") else { return false }
    return colon != name.startIndex && UInt16(name[name.index(after: colon)...]) != nil
  }
}
