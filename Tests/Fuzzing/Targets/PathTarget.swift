import MantelCore
import MantelDisk

func fuzzPaths(_ input: [UInt8]) throws {
  var reader = InputReader(input)
  let pattern = reader.run(Int(reader.byte()))
  let path = reader.rest()
  let glob = Glob(String(decoding: pattern, as: UTF8.self))
  _ = glob.matches(path)
  _ = glob.matches(path, isDirectory: true)
  guard RelativePath.isSafe(path) else { return }
  try require(!path.contains(0) && path.first != slash && path.last != slash, "a path that is not relative")
  let components = RelativePath.components(path)
  try require(Array(components.joined(separator: [slash])) == path, "a path is more than its components")
  for name in components {
    try require(name != [dot] && name != [dot, dot] && !name.isEmpty, "a path leads elsewhere")
    for form in EscapedName.forms(of: name) {
      try require(!form.isEmpty && !form.contains(slash) && !form.contains(0), "a form that is no name")
      try require(form != [dot] && form != [dot, dot], "a form that leads elsewhere")
      if form != name, let text = String(validating: form, as: UTF8.self) {
        try require(!text.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "a form with a control character")
      }
    }
    let last = EscapedName.forms(of: name).last ?? []
    try require(last == name || last.count <= 255, "no form of a name is short enough")
  }
  // A pattern of the path's own characters, each taken literally, is for it alone.
  guard let text = String(validating: path, as: UTF8.self) else { return }
  let literal = Glob("/" + text.unicodeScalars.map { $0 == "/" ? "/" : "\\\($0)" }.joined())
  try require(literal.matches(path), "a literal pattern does not match")
  try require(!literal.matches(path + [dot]), "a literal pattern matches more")
}

private let slash = UInt8(ascii: "/")
private let dot = UInt8(ascii: ".")
