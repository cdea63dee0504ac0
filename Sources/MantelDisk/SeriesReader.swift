package import MantelCore

/// Reads files one after the other, and keeps the directory of the last one open: those that are read together mostly lie side
/// by side. To be let go of with the files that it was made for, so that no directory is taken for one that was there long ago.
package struct SeriesReader {
  /// What paths are below.
  package enum Root: Hashable, Sendable {
    case replica
    case folder([UInt8])
  }

  private let replica: Replica
  private var last: (root: Root, path: [UInt8], directory: Directory)?

  package init(replica: Replica) { self.replica = replica }

  /// Fills the buffer from `offset` of a regular file on; returns how many bytes there were: fewer at the end of the file. With
  /// `expecting`, throws `.changed` unless the file is still that one before and after the read.
  package mutating func read(
    _ path: [UInt8], below root: Root, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer,
    expecting: FileStamp? = nil
  ) throws(DiskError) -> Int {
    let (file, status) = try open(path, below: root)
    return try FileReader.read(file, status, path: path, offset: offset, into: buffer, expecting: expecting)
  }

  private mutating func open(
    _ path: [UInt8], below root: Root
  ) throws(DiskError) -> (file: OpenFile, status: FileStatistics) {
    let (above, name) = try Directory.split(path)
    // What fails there is looked for anew, from the root on: the directory may have moved, or its disk have gone, and the error is
    // to say which.
    if let last, last.root == root, last.path.elementsEqual(above),
      let opened = try? last.directory.openRegular(entry: name, path: path)
    {
      return opened
    }
    last = nil
    let directory = try top(of: root).parent(of: path).directory
    last = (root, Array(above), directory)
    return try directory.openRegular(entry: name, path: path)
  }

  private func top(of root: Root) throws(DiskError) -> Directory {
    switch root {
    case .replica: try replica.mounted()
    case .folder(let path): try Directory(root: path)
    }
  }
}
