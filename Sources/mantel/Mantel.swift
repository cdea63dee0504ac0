import MantelCommands

@main struct Mantel {
  static func main() async { await Program.main() }
}
