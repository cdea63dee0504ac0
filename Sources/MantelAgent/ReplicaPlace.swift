import MantelDisk

extension AgentError {
  /// What a disk says of a replica that may not lie where it does, in words that tell what to do.
  static func explainingPlace<Value>(of root: String, _ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let error as DiskError where error.code == .remote {
      throw AgentError(
        .conflict,
        "\(root) is on a network filesystem, or on one that another program provides (NFS, SMB, FUSE): nothing proves that "
          + "what is written there is on a disk, so it would be no copy. A replica lies on a disk of this machine: name "
          + "another directory with --replica, or copy an existing replica to a local disk and `mantel replica adopt` it there"
      )
    }
  }
}
