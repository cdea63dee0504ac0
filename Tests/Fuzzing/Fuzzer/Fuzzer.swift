import CFuzzer
import Glibc
import MantelFuzzing

/// `mantel-fuzz TARGET [libFuzzer's arguments]`: tries inputs that libFuzzer makes on one target; without one, names all.
/// `mantel-fuzz TARGET --seeds DIR SAVED` writes the inputs that a search begins with, those of the file SAVED included.
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
    if CommandLine.arguments.count == 5, CommandLine.arguments[2] == "--seeds" {
      return writeSeeds(to: CommandLine.arguments[3], with: saved(in: CommandLine.arguments[4]))
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

  private static func saved(in path: String) -> [[UInt8]] {
    guard let file = fopen(path, "r") else {
      perror(path)
      exit(66)
    }
    defer { fclose(file) }
    var text: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { text += piece[..<count] }
    guard ferror(file) == 0, let inputs = FuzzTarget.inputs(hex: String(decoding: text, as: UTF8.self)) else {
      print("\(path) has other than hexadecimal lines")
      exit(65)
    }
    return inputs
  }

  private static func writeSeeds(to directory: String, with saved: [[UInt8]]) {
    for (number, seed) in (target.seeds + saved).enumerated() {
      guard let file = fopen("\(directory)/seed-\(number)", "w") else {
        perror(directory)
        exit(70)
      }
      fwrite(seed, 1, seed.count, file)
      guard fclose(file) == 0 else { exit(70) }
    }
  }
}
