import MantelCore

/// The steps of a batch as bytes, kept in the catalog from before the batch begins until it is recorded: after a crash
/// they tell what it may have done. Read by this machine alone, so the form may change with the version byte.
enum FilingJournal {
  private static let version: UInt8 = 1
  private static let operationField: StaticString = "operation"

  static func bytes(of steps: [FilingPlan.Step]) -> [UInt8] {
    var writer = CanonicalWriter()
    writer.write(version)
    writer.write(UInt32(steps.count))
    for step in steps {
      write(step.operation, to: &writer)
      write(path: step.former ?? [], to: &writer)
      writer.write(step.place == nil ? 0 : step.isSecondCopy ? 2 : 1 as UInt8)
      guard let place = step.place else { continue }
      writer.write(place.library)
      writer.write(place.entry)
      write(path: place.path, to: &writer)
      writer.write(place.mtime)
    }
    return writer.bytes
  }

  /// How many of the first steps have no more than `limit` bytes; at least one, if there is any.
  static func count(of steps: [FilingPlan.Step], within limit: Int) -> Int {
    var bytes = 0
    return steps.firstIndex { step in
      let isFirst = bytes == 0
      bytes += size(of: step)
      return !isFirst && bytes > limit
    } ?? steps.count
  }

  /// No less than the bytes of one step.
  static func size(of step: FilingPlan.Step) -> Int {
    var bytes = 256 + step.operation.path.count + (step.former?.count ?? 0) + (step.place?.path.count ?? 0)
    switch step.operation {
    case .move(let from, _, _, _), .link(let from, _, _, _), .copy(let from, _, _, _): bytes += from.count
    case .copyOwn(let root, let source, _, _, _): bytes += root.count + source.count
    case .land, .remove: break
    }
    return bytes
  }

  static func steps(from bytes: [UInt8]) throws(RecordError) -> [FilingPlan.Step] {
    var reader = CanonicalReader(bytes)
    let found: UInt8 = try reader.readInteger()
    guard found == version else { throw .unsupportedVersion(found) }
    let count: UInt32 = try reader.readInteger()
    var steps: [FilingPlan.Step] = []
    for _ in 0..<count {
      let operation = try readOperation(from: &reader)
      let former = try readPath(from: &reader)
      var place: FilingPlan.Place?
      let form = try reader.readInteger(UInt8.self)
      if form != 0 {
        place = FilingPlan.Place(
          library: try reader.readIdentifier(), entry: try reader.readIdentifier(),
          path: try readPath(from: &reader), mtime: try reader.readInteger())
      }
      steps.append(
        FilingPlan.Step(
          operation: operation, place: place, former: former.isEmpty ? nil : former, isSecondCopy: form == 2))
    }
    try reader.finish()
    return steps
  }

  private static func write(_ operation: FilingOperation, to writer: inout CanonicalWriter) {
    /// The number is the operation's kind.
    func write(
      _ kind: UInt8, root: [UInt8] = [], from: [UInt8] = [], _ path: [UInt8], _ content: ContentID,
      _ mtime: Int64 = 0
    ) {
      writer.write(kind)
      for path in [root, from, path] { Self.write(path: path, to: &writer) }
      writer.write(content)
      writer.write(mtime)
    }
    switch operation {
    case .land(let content, let path, let mtime): write(0, path, content, mtime)
    case .move(let from, let path, let content, let mtime): write(1, from: from, path, content, mtime)
    case .link(let from, let path, let content, let mtime): write(2, from: from, path, content, mtime)
    case .copy(let from, let path, let content, let mtime): write(3, from: from, path, content, mtime)
    case .copyOwn(let root, let source, let path, let content, let mtime):
      write(4, root: root, from: source, path, content, mtime)
    case .remove(let path, let content): write(5, path, content)
    }
  }

  private static func readOperation(from reader: inout CanonicalReader) throws(RecordError) -> FilingOperation
  {
    let kind: UInt8 = try reader.readInteger()
    let root = try readPath(from: &reader)
    let from = try readPath(from: &reader)
    let path = try readPath(from: &reader)
    let content: ContentID = try reader.readIdentifier()
    let mtime: Int64 = try reader.readInteger()
    switch kind {
    case 0: return .land(content, path: path, mtime: mtime)
    case 1: return .move(from: from, path: path, content: content, mtime: mtime)
    case 2: return .link(from: from, path: path, content: content, mtime: mtime)
    case 3: return .copy(from: from, path: path, content: content, mtime: mtime)
    case 4: return .copyOwn(root: root, source: from, path: path, content: content, mtime: mtime)
    case 5: return .remove(path: path, content: content)
    default: throw .invalid(field: operationField)
    }
  }

  /// Paths below the replica are longer than what a u16 can say, by the names of machine and folder.
  private static func write(path: [UInt8], to writer: inout CanonicalWriter) {
    writer.write(UInt32(path.count))
    writer.write(fixed: path)
  }

  private static func readPath(from reader: inout CanonicalReader) throws(RecordError) -> [UInt8] {
    try reader.readFixed(Int(try reader.readInteger(UInt32.self)))
  }
}
