import ArgumentParser
import Foundation
import MantelControl

/// `mantel ls`
struct ListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "Photos of the household, and on how many disks each is safe.")

  @Argument(help: "A glob over machine/folder/path.")
  var pattern: String?
  @Option(help: "Only photos of this machine.")
  var machine: String?
  @Flag(help: "Deleted and replaced photos too.")
  var retired = false
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let count = try await home.asking { service in
      try await Listing.each { after in
        try await service.files(
          FilesQuery(pattern: pattern, machine: machine, retired: retired, after: after))
      } print: { file in
        Array((output.json ? try JSONText.line(file) : FilesText.line(file) + "\n").utf8)
      }
    }
    if count == 0, !output.json { Console.current.say("no photo matches") }
  }
}

/// `mantel skipped`
struct SkippedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "skipped", abstract: "Each file that is not backed up, with its reason.")

  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let count = try await home.asking { service in
      try await Listing.each { after in
        try await service.skipped(after: after)
      } print: { file in
        Array((output.json ? try JSONText.line(file) : FilesText.line(file) + "\n").utf8)
      }
    }
    if count == 0, !output.json { Console.current.say("nothing is skipped") }
  }
}

/// `mantel sums`
struct SumsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sums", abstract: "The sums of the copies on this machine, for `sha256sum -c`.",
    discussion: "mantel sums | sha256sum -c --quiet")

  @Option(help: "Only copies of this machine's photos.")
  var machine: String?
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    _ = try await home.asking { service in
      try await Listing.each { after in
        try await service.sums(machine: machine, after: after)
      } print: { sum in
        output.json ? Array(try JSONText.line(sum).utf8) : SumsText.line(sum)
      }
    }
  }
}

/// `mantel where`
struct WhereCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "where", abstract: "The machines that hold a photo, and when each last re-read it.")

  @Argument(help: "A file, or a SHA-256 of 64 digits.")
  var photo: String
  @OptionGroup var home: HomeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let query = Self.query(photo)
    let answer = try await home.asking { try await $0.locate(query) }
    try output.print(answer, FilesText.text(answer))
  }

  /// 64 hexadecimal digits are a hash, everything else is a file.
  static func query(_ text: String) -> WhereQuery {
    let isHash = text.utf8.count == 64 && text.allSatisfy { $0.isASCII && $0.isHexDigit }
    return isHash
      ? WhereQuery(sha256: text.lowercased(), fileBase64: nil)
      : WhereQuery(sha256: nil, fileBase64: RawArguments.absoluteBase64(text))
  }
}

/// Prints a listing page by page, so that none is ever whole in memory.
enum Listing {
  /// Returns the number of items. A page is printed in one piece.
  static func each<Item>(
    page: (String?) async throws -> Page<Item>, print: (Item) throws -> [UInt8]
  ) async throws -> Int {
    var after: String?
    var count = 0
    repeat {
      let answer = try await page(after)
      let text = try answer.items.flatMap(print)
      if !text.isEmpty { try Console.current.write(text) }
      count += answer.items.count
      after = answer.next
    } while after != nil
    return count
  }
}
