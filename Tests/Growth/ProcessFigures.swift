import Foundation
import MantelTestSupport

/// What the agent of one machine has used so far, and has now, as the kernel tells it.
struct ProcessFigures: Sendable {
  var anonymousBytes: Int
  /// User and system time.
  var processorSeconds: Double
  /// Times that one of its threads was woken from waiting.
  var wakeups: Int

  /// Only builtins, so that nothing that the script starts is counted. The machine has one agent.
  private static let script = #"""
    for process in /proc/[0-9]*; do
      [ "$process/ns/mnt" -ef /proc/self/ns/mnt ] || continue
      { read -r name <"$process/comm"; } 2>/dev/null || continue
      [ "$name" = mantel ] || continue
      while read -r key value rest; do
        [ "$key" = RssAnon: ] && echo "$value"
      done <"$process/status"
      read -r line <"$process/stat"
      set -- ${line##*) }
      echo $((${12} + ${13}))
      total=0
      for thread in $process/task/*; do
        while read -r key value; do
          [ "$key" = voluntary_ctxt_switches: ] && total=$((total + value))
        done <"$thread/status"
      done
      echo $total
    done
    """#

  init(_ machine: LabMachine) async throws {
    let result = try await machine.run(["bash", "-c", Self.script])
    let numbers = result.stdout.split(separator: "\n").compactMap { Int($0) }
    guard result.exitCode == 0, numbers.count == 3 else {
      throw GrowthError("the agent of \(machine.name) cannot be measured: \(result)")
    }
    anonymousBytes = numbers[0] << 10
    processorSeconds = Double(numbers[1]) / Double(sysconf(Int32(_SC_CLK_TCK)))
    wakeups = numbers[2]
  }
}
