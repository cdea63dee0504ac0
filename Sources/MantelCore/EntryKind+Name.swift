extension EntryKind {
  private static let byExtension: [String: EntryKind] = {
    let photo = "jpg jpeg jpe jfif heic heif hif avif jxl png gif webp tif tiff bmp jp2 mpo psd insp"
    let raw =
      "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef ptx raf raw rw2 rwl sr2 srf srw x3f"
    let video = "mp4 mov m4v avi mkv mts m2ts 3gp 3g2 mpg mpeg wmv webm insv lrv flv vob ogv"
    let sidecar = "xmp aae thm pp3 dop json xml on1 cos nksc"
    var table: [String: EntryKind] = [:]
    for (names, kind) in [
      (photo, EntryKind.photo), (raw, .raw), (video, .video), (sidecar, .sidecar),
    ] {
      for name in names.split(separator: " ") { table[String(name)] = kind }
    }
    return table
  }()

  /// The kind that a file's extension tells, in either case; `other` when it tells nothing.
  package init(path: [UInt8]) {
    let name = path.split(separator: UInt8(ascii: "/")).last ?? []
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")) else {
      self = .other
      return
    }
    let suffix = String(decoding: name[name.index(after: dot)...], as: UTF8.self).lowercased()
    self = Self.byExtension[suffix] ?? .other
  }
}
