import Foundation

/// One machine of a lab gets photos that all others lack: how long until all have them, and what its link carried.
package struct LabSwarm: Sendable {
  package var receivers = 4
  package var photos = 200
  package var photoBytes = 1_000_000
  /// Bits a second of every machine's link, each way.
  package var rate = 100_000_000
  /// Rates of the last receivers, where they are slower than that.
  package var slow: [Int] = []
  /// Every machine has an ext4 filesystem of its own on a loop device; needs `LabFeature.loopDisk`.
  package var hasOwnDisks = true
  package var patience: Duration = .seconds(600)

  package init() {}

  /// What came of it. Times are compared with sending all once over one link, bytes with having all once.
  package struct Outcome: Codable, Sendable {
    package var receivers: Int
    package var photos: Int
    package var photoBytes: Int
    package var rate: Int
    package var slow: [Int]
    /// Seconds that one link needs for all.
    package var ideal: Double
    /// For each receiver: seconds from the first bytes that the source sent until the last photo was durable under its name.
    package var seconds: [Double]
    /// The same, divided by what the link of the receiver, or the source's, needs.
    package var timeRatios: [Double]
    /// All that the source's link carried out, headers and announcements included, by the photos' bytes.
    package var sentRatio: Double

    package var text: String {
      let times = timeRatios.map { String(format: "%.2f", $0) }.joined(separator: " ")
      return """
        1 to \(receivers), \(photos) photos of \(photoBytes) bytes, \(rate / 1_000_000) Mbit/s\
        \(slow.isEmpty ? "" : " (slow: \(slow.map { "\($0 / 1_000_000)" }.joined(separator: ", ")))")
          time / (S / link), each receiver:  \(times)
          source bytes / S:                  \(String(format: "%.2f", sentRatio))

        """
    }
  }

  private static let source = "source"

  private var names: [String] {
    (0..<receivers).map { "r" + String(UnicodeScalar(UInt8(ascii: "a") + UInt8($0))) }
  }

  /// Runs it in a lab of its own; `check` may look at the machines in the end.
  package func run(_ check: (LabHousehold) async throws -> Void = { _ in }) async throws -> Outcome {
    precondition(
      (1...26).contains(receivers) && slow.count <= receivers, "as many receivers as there are letters")
    return try await LabHousehold.withMachines([Self.source] + names, daemons: false) { household in
      if hasOwnDisks { for machine in household.lab.machines { try await makeDisk(for: machine) } }
      try await household.found(Self.source)
      for name in names { try await household.join(name, through: Self.source, byAddress: true) }
      for name in [Self.source] + names {
        for other in [Self.source] + names where other != name {
          try await household.waitUntilConnected(name, to: other)
        }
      }
      let outcome = try await measure(household)
      try await check(household)
      return outcome
    }
  }

  private func makeDisk(for machine: LabMachine) async throws {
    let bytes = 2 * photos * photoBytes + (512 << 20)
    let make =
      "truncate -s \"$2\" \"$0\" && mkfs.ext4 -q \"$0\" && mount -o loop \"$0\" \"$1\" && mkdir -m 700 \"$1/Photos\""
    try await machine.run(["sh", "-c", make, "\(machine.home).img", machine.home, "\(bytes)"])
      .succeeded("ext4 on a loop device")
  }

  private func measure(_ household: LabHousehold) async throws -> Outcome {
    let source = try household[Self.source]
    for (index, machine) in household.lab.machines.enumerated() {
      let place = household.lab.machines.count - 1 - index
      try await machine.shape(bitsPerSecond: place < slow.count ? slow[place] : rate)
    }
    try await writePhotos(on: source)
    let before = try await source.linkBytes().sent
    let ends = try await watchReceivers(household, source)
    try await source.run(["sh", "-c", "mv new Photos/swarm"]).succeeded("photos into the folder")
    var start = Date()
    try await eventually(within: .seconds(60), "the source sends") {
      let look = Date()
      if try await source.linkBytes().sent - before > 64 << 10 { return true }
      start = look
      return false
    }
    let seconds = try await ends.seconds(since: start, within: patience)
    let sent = try await source.linkBytes().sent - before
    let all = photos * photoBytes
    return Outcome(
      receivers: receivers, photos: photos, photoBytes: photoBytes, rate: rate, slow: slow,
      ideal: Double(all) * 8 / Double(rate), seconds: seconds,
      timeRatios: seconds.enumerated().map { index, seconds in
        let place = receivers - 1 - index
        let rate = place < slow.count ? min(slow[place], rate) : rate
        return seconds / (Double(all) * 8 / Double(rate))
      }, sentRatio: Double(sent) / Double(all))
  }

  /// Beside the folder, so that they come into it at once.
  private func writePhotos(on source: LabMachine) async throws {
    let write = """
      mkdir new && n=0 && while [ $n -lt "$0" ]; do
        head -c "$1" /dev/urandom >new/$n.jpg || exit 1; n=$((n + 1))
      done
      """
    try await source.run(["sh", "-c", write, "\(photos)", "\(photoBytes)"], within: patience)
      .succeeded("photos of the source")
  }

  /// A shell on each receiver tells when the last copy has its name, which it gets when it is durable.
  private func watchReceivers(_ household: LabHousehold, _ source: LabMachine) async throws -> Watches {
    let watch = """
      while [ "$(ls "$0" 2>/dev/null | wc -l)" -lt "$1" ]; do sleep 0.25; done; date +%s.%N
      """
    var watches: [LabProcess] = []
    for name in names {
      let machine = try household[name]
      watches.append(
        try await machine.spawn(["sh", "-c", watch, "\(machine.copies(of: source))/swarm", "\(photos)"]))
    }
    return Watches(processes: watches)
  }

  private struct Watches {
    let processes: [LabProcess]

    func seconds(since start: Date, within limit: Duration) async throws -> [Double] {
      var seconds: [Double] = []
      for process in processes {
        let said = try await process.wait(within: limit).succeeded("all copies").stdout
        guard let end = Double(said.trimmingCharacters(in: .whitespacesAndNewlines)) else {
          throw LabError.unavailable("no time in \(said)")
        }
        seconds.append(end - start.timeIntervalSince1970)
      }
      return seconds
    }
  }
}
