import Glibc

/// Names of a directory's entries, in one run of bytes: an array for each would cost about as much as the look at its file.
struct EntryNames {
  /// Each with a NUL behind it.
  private var bytes: [UInt8] = []
  private var places: [(start: Int, count: Int)] = []

  var count: Int { places.count }

  /// A name has no NUL of its own.
  mutating func append(_ name: UnsafeRawBufferPointer) {
    places.append((bytes.count, name.count))
    bytes.append(contentsOf: name)
    bytes.append(0)
  }

  /// Lends each name, ascending by the bytes, and as a C string.
  func forEachAscending(_ body: (_ name: UnsafeRawBufferPointer, _ terminated: UnsafePointer<CChar>) -> Void)
  {
    bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      let start = base.assumingMemoryBound(to: CChar.self)
      // It compares bytes without a sign, and a NUL comes before all others.
      let ascending = places.sorted { strcmp(start + $0.start, start + $1.start) < 0 }
      for place in ascending {
        body(UnsafeRawBufferPointer(start: base + place.start, count: place.count), start + place.start)
      }
    }
  }
}
