import Foundation
import MantelTestSupport

/// Syncthing as it comes, but for what would leave the two machines, watch, or start by itself: the folder is paused
/// on both until its turn.
struct SyncthingRun {
  private let round: Round

  private static let port = 22_000

  init(_ round: Round) { self.round = round }

  /// One of the two.
  private struct Instance {
    let machine: LabMachine
    let home: String
    let folder: String
    let isSender: Bool
    let device: String
    let control: SyncthingControl
  }

  func copy() async throws -> Measurement {
    let destination = "\(round.directory(on: round.receiver))/copy"
    try FileManager.default.createDirectory(atPath: destination, withIntermediateDirectories: true)
    let sender = try await generate(round.sender, folder: round.work.directory, isSender: true)
    let receiver = try await generate(round.receiver, folder: destination, isSender: false)
    for (own, other) in [(sender, receiver), (receiver, sender)] {
      try configuration(of: own, peer: other).write(
        toFile: "\(own.home)/config.xml", atomically: false, encoding: .utf8)
      _ = try await own.machine.spawn(
        ["syncthing", "serve", "--home=\(own.home)", "--no-browser", "--no-default-folder", "--logflags=3"],
        environment: ["STNOUPGRADE": "1"])
    }
    for (own, other) in [(sender, receiver), (receiver, sender)] {
      try await eventually(within: Round.startPatience, "Syncthing of \(own.machine.name) is connected") {
        try await own.control.isConnected(to: other.device)
      }
    }
    let scan = try await scan(sender)
    let transfer = try await transfer(to: receiver)
    try await sender.control.close()
    try await receiver.control.close()
    return Measurement(
      scan: scan, transfer: transfer, destination: destination, ignoring: [Self.marker])
  }

  /// From resuming the folder to all files hashed and in the index. Syncthing counts a few bytes for directories too.
  private func scan(_ sender: Instance) async throws -> Phase {
    let (clock, original) = (ContinuousClock(), round.work.original)
    let before = try await ProcessorTimes(round)
    let start = clock.now
    try await sender.control.resume()
    try await eventually(within: round.patience, "Syncthing has scanned") {
      let status = try await sender.control.status()
      return status.state == "idle" && status.localFiles == original.files
        && status.localBytes >= original.bytes
    }
    let seconds = (clock.now - start) / .seconds(1)
    return Phase(seconds: seconds, from: before, to: try await ProcessorTimes(round))
  }

  /// From the moment when the receiver, long connected, is told to resume the folder, to 100 % of all that the sender
  /// has.
  private func transfer(to receiver: Instance) async throws -> Phase {
    let (clock, original) = (ContinuousClock(), round.work.original)
    let before = try await ProcessorTimes(round)
    let start = clock.now
    try await receiver.control.resume()
    try await eventually(within: round.patience, "Syncthing is complete") {
      let completion = try await receiver.control.completion()
      return completion.completion == 100 && completion.needBytes == 0 && completion.needItems == 0
        && completion.globalBytes >= original.bytes
    }
    let seconds = (clock.now - start) / .seconds(1)
    return Phase(seconds: seconds, from: before, to: try await ProcessorTimes(round))
  }

  // MARK: Setting up

  private static let marker = ".stfolder"

  private func generate(
    _ machine: LabMachine, folder: String, isSender: Bool
  ) async throws -> Instance {
    let home = "\(round.directory(on: machine))/syncthing"
    _ = try await round.require(
      ["syncthing", "generate", "--home=\(home)", "--no-default-folder", "--skip-port-probing"], on: machine)
    let device = try await round.require(
      ["syncthing", "serve", "--device-id", "--home=\(home)"], on: machine)
    return Instance(
      machine: machine, home: home, folder: folder, isSender: isSender,
      device: device.trimmingCharacters(in: .whitespacesAndNewlines),
      control: SyncthingControl(socket: "\(home)/gui"))
  }

  /// All that is not said here is Syncthing's default, fsync of every file included.
  private func configuration(of own: Instance, peer: Instance) -> String {
    // The marker would be written into the original: there, a directory that is there anyway serves.
    let marker = own.isSender ? round.work.work.firstDirectory : Self.marker
    return """
      <configuration version="35">
        <folder id="\(SyncthingControl.folder)" path="\(own.folder)" \
      type="\(own.isSender ? "sendonly" : "receiveonly")" rescanIntervalS="0" fsWatcherEnabled="false">
          <filesystemType>basic</filesystemType>
          <device id="\(own.device)"></device>
          <device id="\(peer.device)"></device>
          <markerName>\(marker)</markerName>
          <paused>true</paused>
        </folder>
        <device id="\(own.device)" name="\(own.machine.name)" compression="metadata">
          <address>dynamic</address>
        </device>
        <device id="\(peer.device)" name="\(peer.machine.name)" compression="metadata">
          <address>tcp://\(peer.machine.address):\(Self.port)</address>
        </device>
        <gui enabled="true" tls="false">
          <address>\(own.control.socket)</address>
          <apikey>\(SyncthingControl.key)</apikey>
        </gui>
        <options>
          <listenAddress>tcp://\(own.machine.address):\(Self.port)</listenAddress>
          <globalAnnounceEnabled>false</globalAnnounceEnabled>
          <localAnnounceEnabled>false</localAnnounceEnabled>
          <relaysEnabled>false</relaysEnabled>
          <natEnabled>false</natEnabled>
          <stunKeepaliveStartS>0</stunKeepaliveStartS>
          <startBrowser>false</startBrowser>
          <urAccepted>-1</urAccepted>
          <crashReportingEnabled>false</crashReportingEnabled>
          <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
          <reconnectionIntervalS>1</reconnectionIntervalS>
        </options>
      </configuration>
      """
  }
}
