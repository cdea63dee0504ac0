import CFuzzer
import Glibc
import MantelFuzzing

/// `mantel-fuzz TARGET [libFuzzer's arguments]`: tries inputs that libFuzzer makes on one target; without one, names all.
/// `mantel-fuzz TARGET --seeds DIR` writes the inputs that a search begins with.
@main enum Fuzzer {
  /// Chosen once, before the first input.
  nonisolated(unsafe) private static var target = FuzzTarget.frames

  static func main() {
    guard CommandLine.arguments.count > 1, let wanted = FuzzTarget(rawValue: CommandLine.arguments[1]) else {
      for target in FuzzTarget.allCases { print(target.rawValue) }
      exit(CommandLine.arguments.count > 1 ? 64 : 0)
    }
    target = wanted
    if CommandLine.arguments.count == 4, CommandLine.arguments[2] == "--seeds" {
      return writeSeeds(to: CommandLine.arguments[3])
    }
    // Without the target's name, as libFuzzer would see them.
    let arguments = [CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)
    var values: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    var count = Int32(arguments.count)
    let code = values.withUnsafeMutableBufferPointer { buffer in
      var start = buffer.baseAddress
      return LLVMFuzzerRunDriver(&count, &start) { data, size in
        let input = Array(UnsafeBufferPointer(start: data, count: size))
        do { try Fuzzer.target.run(input) } catch { fatalError("\(error)") }
        return 0
      }
    }
    exit(code)
  }

  private static func writeSeeds(to directory: String) {
    for (number, seed) in target.seeds.enumerated() {
      guard let file = fopen("\(directory)/seed-\(number)", "w") else {
        perror(directory)
        exit(70)
      }
      fwrite(seed, 1, seed.count, file)
      guard fclose(file) == 0 else { exit(70) }
    }
  }
}
