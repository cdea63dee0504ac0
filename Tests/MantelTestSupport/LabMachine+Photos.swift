import Foundation

extension LabMachine {
  /// The folder of this machine's own photos.
  package var photos: String { "\(home)/Photos" }
  /// Where the copies of the others' photos lie, if nobody says otherwise.
  package var replica: String { "\(home)/Mantel" }

  package func copies(of owner: LabMachine) -> String { "\(replica)/\(owner.name)/Photos" }

  /// Makes `IMG_0001.JPG` and so on of these sizes, taken a day apart from September 2001 on, in an album of the folder.
  package func makePhotos(_ sizes: [Int], album: String = "2001", seed: UInt64) throws {
    let directory = "\(photos)/\(album)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for (index, size) in sizes.enumerated() {
      let number = "\(10_001 + index)".dropFirst()
      try GeneratedPhotos.write(
        "\(directory)/IMG_\(number).JPG", bytes: size, seed: seed &* 1_000_000 &+ UInt64(index),
        mtime: 1_000_000_000_123_456_789 + Int64(index) * 86_400_000_000_000)
    }
  }
}
