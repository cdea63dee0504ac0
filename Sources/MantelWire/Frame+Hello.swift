import MantelCore
import NIOCore

extension Hello {
  /// Refuses an empty version range, and members that are not strictly ascending by machine.
  init(from reader: inout PayloadReader) throws(WireError) {
    let lowest = try reader.integer("version", as: UInt8.self)
    let highest = try reader.integer("version", as: UInt8.self)
    guard lowest > 0, lowest <= highest else { throw .malformed(reader.type, field: "version") }
    self.init(
      lowestVersion: lowest, highestVersion: highest, features: try reader.integer("features"),
      household: try reader.identifier("household"),
      nonce: try reader.raw(FrameLimits.nonceBytes, "nonce"),
      instance: try reader.raw(FrameLimits.nonceBytes, "instance"),
      time: WallTime(nanoseconds: try reader.integer("time")),
      listeningPort: try reader.integer("port"), rosterHash: try reader.digest("roster hash"),
      holdingsCount: try reader.integer("holdings count"),
      holdingsRoot: try reader.digest("holdings root"), members: [])
    let count = Int(try reader.integer("members", as: UInt8.self))
    guard count <= Limits.machines else { throw .overLimit(reader.type, field: "members") }
    for _ in 0..<count {
      let member = MemberState(
        machine: try reader.identifier("members"), head: try reader.order("members"),
        record: try reader.integer("members"), attestation: try reader.integer("members"))
      if let last = members.last, last.machine >= member.machine {
        throw .malformed(reader.type, field: "members")
      }
      members.append(member)
    }
  }

  /// Members are written in ascending order, whatever their order here. Precondition: each machine once.
  func encode(into buffer: inout ByteBuffer) {
    buffer.writeMultipleIntegers(lowestVersion, highestVersion, features)
    buffer.write(household)
    buffer.write(fixed: nonce, count: FrameLimits.nonceBytes)
    buffer.write(fixed: instance, count: FrameLimits.nonceBytes)
    buffer.writeMultipleIntegers(time.nanoseconds, listeningPort)
    buffer.write(rosterHash)
    buffer.writeInteger(holdingsCount)
    buffer.write(holdingsRoot)
    precondition(members.count <= Limits.machines, "a hello names more machines than a household has")
    buffer.writeInteger(UInt8(members.count))
    var last: MachineID?
    for member in members.sorted(by: { $0.machine < $1.machine }) {
      precondition(last != member.machine, "a hello names a machine twice")
      last = member.machine
      buffer.write(member.machine)
      buffer.write(member.head)
      buffer.writeMultipleIntegers(member.record, member.attestation)
    }
  }
}
