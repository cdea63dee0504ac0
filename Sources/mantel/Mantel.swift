@main struct Mantel { static func main() {} }
