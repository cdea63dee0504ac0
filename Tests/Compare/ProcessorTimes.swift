import Foundation
import MantelTestSupport

/// User and system time that all processes of the machines have used so far.
///
/// Exact to 1/100 s for each process, from /proc. Of processes that ended it has those whose parents are still there:
/// commands that are measured run below a shell that stays.
struct ProcessorTimes: Sendable {
  let sender: Double
  let receiver: Double

  init(_ round: Round) async throws {
    sender = try await Self.seconds(round.sender)
    receiver = try await Self.seconds(round.receiver)
  }

  /// A machine's processes are those in its mount namespace. Only builtins: whatever it started would be counted.
  private static let script = #"""
    total=0
    for process in /proc/[0-9]*; do
      [ "$process" != /proc/$$ ] && [ "$process/ns/mnt" -ef /proc/self/ns/mnt ] || continue
      { read -r line <"$process/stat"; } 2>/dev/null || continue
      set -- ${line##*) }
      total=$((total + ${12} + ${13} + ${14} + ${15}))
    done
    echo $total
    """#

  private static func seconds(_ machine: LabMachine) async throws -> Double {
    let result = try await machine.run(["bash", "-c", script])
    guard result.exitCode == 0, let ticks = Double(result.stdout.dropLast()) else {
      throw CompareError("the processor time of \(machine.name) cannot be read: \(result)")
    }
    return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }
}
