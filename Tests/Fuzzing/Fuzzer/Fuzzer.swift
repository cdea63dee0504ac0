import CFuzzer
import Glibc
import MantelFuzzing

/// `mantel-fuzz TARGET [libFuzzer's arguments]`: tries inputs that libFuzzer makes on one target; without one, names all.
/// `mantel-fuzz TARGET --seeds DIR` writes the inputs that a search begins with.
@main enum Fuzzer {
  /// Chosen once, before the first input.
  nonisolated(unsafe) private static var target = FuzzTarget.frames

  static func main() {
    let named = CommandLine.arguments.dropFirst().first.flatMap(FuzzTarget.init)
    guard let wanted = named ?? inherited else {
      for target in FuzzTarget.allCases { print(target.rawValue) }
      exit(CommandLine.arguments.count > 1 ? 64 : 0)
    }
    target = wanted
    if CommandLine.arguments.count == 4, CommandLine.arguments[2] == "--seeds" {
      return writeSeeds(to: CommandLine.arguments[3])
    }
    // Processes that libFuzzer starts, to merge, have its arguments alone.
    setenv(variable, target.rawValue, 1)
    // Without the target's name, as libFuzzer would see them.
    let arguments = [CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(named == nil ? 1 : 2)
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

  private static let variable = "MANTEL_FUZZ_TARGET"

  private static var inherited: FuzzTarget? {
    getenv(variable).flatMap { FuzzTarget(rawValue: String(cString: $0)) }
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
