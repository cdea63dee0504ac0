import MantelCore

/// What the operations of a batch came to.
struct BatchOutcome {
  var put: [[UInt8]: ReplicaFile] = [:]
  var removed: Set<[UInt8]> = []
  /// Names that were given up, by the content that had them.
  var freed: [[UInt8]: ContentID] = [:]
  /// Names that files in the trash had before, by the new ones.
  var discarded: [[UInt8]: [UInt8]] = [:]
  /// Those of them that went there beside another copy: nobody has judged a drop.
  var secondCopies: Set<[UInt8]> = []
  /// Files that were taken by their names.
  var renamed: [[UInt8]] = []
  var failed: Set<ContentID> = []
  /// Replica files that should have had a content's bytes, and own ones.
  var sources: [[UInt8]: ContentID] = [:]
  var ownSources: [(root: [UInt8], path: [UInt8])] = []
  /// Contents whose staged bytes were landed, or are not there after all.
  var unstaged: Set<ContentID> = []
  var failure: FilingFailure?
  var hasSucceeded = false

  init(_ batch: FilingBatch) {
    for file in batch.staying { put[file.path] = file }
  }

  /// The results of a repeat, but that a move whose file a later move of the batch has found is done: the file lies nowhere any
  /// more where that one step would look for it, and its old name may be another file's by now.
  static func settled(_ results: [FilingResult], of batch: FilingBatch) -> [FilingResult] {
    guard batch.isRepeat else { return results }
    var results = results
    var movedOn: [[UInt8]: ContentID] = [:]
    for (place, step) in batch.steps.enumerated().reversed() {
      guard case .move(let from, let path, let content, _) = step.operation else { continue }
      if case .sourceChanged = results[place], movedOn[path] == content {
        results[place] = .done(path: path, nil)
      }
      switch results[place] {
      case .done, .adopted: movedOn[from] = content
      case .sourceChanged, .failed: break
      }
    }
    return results
  }

  mutating func take(_ step: FilingPlan.Step, _ result: FilingResult, now: Now) {
    switch result {
    case .done(let path, let stamp), .adopted(let path, let stamp as FileStamp?):
      hasSucceeded = true
      let content = step.operation.content
      if case .remove = step.operation {
        // A repeat has found the file: it stays what it was.
        if stamp == nil { free(path, of: content) }
        return
      }
      if let former = step.former, former != path { free(former, of: content) }
      guard let place = step.place, let stamp else { return }
      put[path] = ReplicaFile(
        library: place.library, entry: place.entry, content: content, path: path, stamp: stamp,
        verified: step.verified ?? now.wall)
      if FilingPlan.isDiscarded(path) {
        discarded[path] = step.former ?? path
        if step.isSecondCopy { secondCopies.insert(path) }
      }
      switch step.operation {
      case .land: unstaged.insert(content)
      case .move, .link: renamed.append(path)
      case .copy, .copyOwn, .remove: break
      }
    case .sourceChanged:
      fail(step.operation)
      switch step.operation {
      case .land(let content, _, _): unstaged.insert(content)
      case .move(let from, _, let content, _), .link(let from, _, let content, _),
        .copy(let from, _, let content, _):
        sources[from] = content
      // Only in a repeat: nobody can tell whose bytes they are.
      case .remove(let path, let content): sources[path] = content
      case .copyOwn: break
      }
    case .failed(let reason):
      failure = reason
      fail(step.operation)
      // After a failed sync nothing that was staged is to be trusted.
      if reason.code == .sync, case .land(let content, _, _) = step.operation { unstaged.insert(content) }
    }
  }

  private mutating func free(_ path: [UInt8], of content: ContentID) {
    removed.insert(path)
    freed[path] = content
    put[path] = nil
  }

  private mutating func fail(_ operation: FilingOperation) {
    failed.insert(operation.content)
    if case .copyOwn(let root, let path, _, _, _) = operation { ownSources.append((root, path)) }
  }
}
