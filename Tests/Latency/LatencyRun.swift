import Foundation
import MantelTestSupport

/// Two machines on a slow link, and a video that one of them has new.
struct LatencyRun {
  let videoBytes: Int
  let photoBytes: Int
  let pings: Int
  let bitsPerSecond: Int
  let burst: Int
  let queue: Int

  private static let owner = "owner"
  private static let holder = "holder"

  /// Times in seconds.
  struct Outcome: Codable {
    /// Pings of the idle link, and beside the video; both ways together.
    let idle: Quantiles
    let beside: Quantiles
    /// From the photo's name in the folder to its durable copy, and the part of it that the link needs.
    let photo: Double
    let photoOnTheLink: Double
    /// The video was still on its way then.
    let hasOvertaken: Bool
    /// Of the link's rate, while the pings went beside the video.
    let videoRate: Double

    var text: String {
      """
      ping, idle link:         \(idle.text)
      ping, beside the video:  \(beside.text)
      the video has meanwhile  \(String(format: "%.2f", videoRate)) of the link
      photo, until durable:    \(milliseconds(photo)) (the link alone: \(milliseconds(photoOnTheLink))), \
      \(hasOvertaken ? "before the video" : "AFTER the video")

      """
    }
  }

  func measure() async throws -> Outcome {
    try await LabHousehold.withMachines([Self.owner, Self.holder], daemons: false) { household in
      let (owner, holder) = (try household[Self.owner], try household[Self.holder])
      try await household.found(Self.owner)
      try await household.join(Self.holder, through: Self.owner, byAddress: true)
      try await household.waitUntilSettled()
      for machine in [owner, holder] {
        try await machine.shape(bitsPerSecond: bitsPerSecond, burst: burst, queue: queue)
      }
      let idle = try await ping([owner, holder])

      try await write("video.mp4", bytes: videoBytes, on: owner)
      try await write("photo.jpg", bytes: photoBytes, on: owner)
      let before = try await holder.linkBytes().received
      try await owner.run(["mv", "video.mp4", "Photos/video.mp4"]).succeeded("a video")
      try await eventually(within: .seconds(300), "the video is on its way") {
        try await holder.linkBytes().received - before > 4 << 20
      }
      let (began, first) = (Date(), try await holder.linkBytes().received)
      let beside = try await ping([owner, holder])
      let bytes = try await holder.linkBytes().received - first
      let videoRate = Double(bytes) * 8 / Date().timeIntervalSince(began) / Double(bitsPerSecond)

      let copy = "\(holder.copies(of: owner))/photo.jpg"
      let watch = try await holder.spawn([
        "sh", "-c", "until [ -e \"$0\" ]; do sleep 0.01; done; date +%s.%N", copy,
      ])
      let start = Date()
      try await owner.run(["mv", "photo.jpg", "Photos/photo.jpg"]).succeeded("a photo")
      let said = try await watch.wait(within: .seconds(600)).succeeded("the photo's copy").stdout
      let hasVideo = FileManager.default.fileExists(atPath: "\(holder.copies(of: owner))/video.mp4")
      guard let end = Double(said.trimmingCharacters(in: .whitespacesAndNewlines)) else {
        throw LabError.unavailable("no time in \(said)")
      }
      return Outcome(
        idle: idle, beside: beside, photo: end - start.timeIntervalSince1970,
        photoOnTheLink: Double(photoBytes) * 8 / Double(bitsPerSecond), hasOvertaken: !hasVideo,
        videoRate: videoRate)
    }
  }

  /// One after the other, in turn.
  private func ping(_ machines: [LabMachine]) async throws -> Quantiles {
    var seconds: [Double] = []
    for _ in 0..<pings {
      for machine in machines {
        let answer: PeersJSON = try await machine.mantel("peers", "--ping", "--json").succeeded("a ping")
          .json()
        guard let peer = answer.peers.first, let roundTrip = peer.roundTripSeconds else {
          throw LabError.unavailable("no answer to a ping of \(machine.name)")
        }
        seconds.append(roundTrip)
      }
    }
    return Quantiles(of: seconds)
  }

  private func write(_ name: String, bytes: Int, on machine: LabMachine) async throws {
    try await machine.run(
      ["sh", "-c", "head -c \"$1\" /dev/urandom >\"$0\" && sync \"$0\"", name, "\(bytes)"],
      within: .seconds(600)
    ).succeeded(name)
  }
}

struct Quantiles: Codable {
  let count: Int
  let p50: Double
  let p99: Double
  let most: Double

  init(of values: [Double]) {
    let sorted = values.sorted()
    func quantile(_ part: Double) -> Double {
      sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int((part * Double(sorted.count)).rounded(.up)) - 1)]
    }
    (count, p50, p99, most) = (sorted.count, quantile(0.5), quantile(0.99), sorted.last ?? 0)
  }

  var text: String {
    "\(count) pings, median \(milliseconds(p50)), p99 \(milliseconds(p99)), most \(milliseconds(most))"
  }
}

func milliseconds(_ seconds: Double) -> String { String(format: "%.1f ms", seconds * 1_000) }
