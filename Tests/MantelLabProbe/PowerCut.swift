import Glibc

/// A filesystem from which the power goes: what its disk has not got by now, it never gets.
enum PowerCut {
  /// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
  private static let shutdown: UInt = 0x8004_587D
  /// `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the journal is flushed.
  private static let withoutFlush: UInt32 = 2

  static func run(_ words: [String]) -> Int32 {
    guard let path = words.first else { return 64 }
    let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return failure(path) }
    var flags = withoutFlush
    return ioctl(directory, shutdown, &flags) == 0 ? 0 : failure("EXT4_IOC_SHUTDOWN")
  }

  private static func failure(_ what: String) -> Int32 {
    perror(what)
    return 1
  }
}
