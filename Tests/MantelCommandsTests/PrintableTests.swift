@testable import MantelCommands
import MantelControl
import Testing

@Suite struct PrintableTests {
  @Test(arguments: [
    ("plain name.jpg", "plain name.jpg"), ("a\nb", "a\\nb"), ("a\\nb", "a\\\\nb"),
    ("\u{1b}[31mred", "\\x1b[31mred"), ("tab\there", "tab\\there"), ("cr\r", "cr\\r"),
    ("\u{7f}\u{85}", "\\x7f\\u{85}"), ("evil\u{202e}gpj.exe", "evil\\u{202e}gpj.exe"),
    ("line\u{2028}end", "line\\u{2028}end"), ("\u{feff}", "\\u{feff}"),
    ("Zoë 👩‍👩‍👧 写真", "Zoë 👩‍👩‍👧 写真"), ("e\u{301}", "e\u{301}"), ("\r\n", "\\r\\n"), ("", ""),
  ])
  func textIsEscaped(text: String, shown: String) { #expect(Printable.text(text) == shown) }

  @Test(
    arguments: [
      ([97, 255, 98], "a\\xffb"), ([255, 10, 92], "\\xff\\n\\\\"), ([195], "\\xc3"),
      ([195, 188, 195], "ü\\xc3"), ([240, 159, 145], "\\xf0\\x9f\\x91"),
      ([237, 160, 128], "\\xed\\xa0\\x80"), ([192, 175], "\\xc0\\xaf"),
    ] as [([UInt8], String)])
  func bytesThatAreNoTextAreEscaped(bytes: [UInt8], shown: String) {
    #expect(Printable.bytes(bytes) == shown)
    #expect(Printable.path(PathText(bytes: bytes)) == shown)
  }

  @Test func sentencesKeepTheirBackslashes() {
    #expect(Printable.sentence("C:\\a\u{1b}") == "C:\\a\\x1b")
  }

  @Test(
    arguments: [
      (0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_550, "1.6 kB"), (9_949, "9.9 kB"),
      (9_950, "10 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (34_000_000, "34 MB"),
      (1_200_000_000, "1.2 GB"), (.max, "18 EB"),
    ] as [(UInt64, String)])
  func bytesAreShort(bytes: UInt64, shown: String) { #expect(Quantity.bytes(bytes) == shown) }

  @Test(arguments: [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (-1_000, "-1,000")])
  func countsHaveCommas(number: Int, shown: String) { #expect(Quantity.count(number) == shown) }

  @Test(
    arguments: [
      (0, "0 s"), (99, "99 s"), (100, "2 min"), (5_999, "100 min"), (6_000, "1 h 40 min"),
      (7_200, "2 h"), (172_800, "2 d"), (-5, "0 s"), (.infinity, "11574074 d"),
    ] as [(Double, String)])
  func durationsAreShort(seconds: Double, shown: String) {
    #expect(Quantity.duration(seconds) == shown)
  }

  @Test func agesAreToldByTheAgentsClock() {
    #expect(Quantity.age("2026-05-01T11:57:00Z", now: "2026-05-01T12:00:00Z") == "3 min ago")
    #expect(Quantity.age("2026-05-01T12:00:09Z", now: "2026-05-01T12:00:00Z") == "now")
    #expect(Quantity.age(nil, now: "2026-05-01T12:00:00Z") == nil)
    #expect(Quantity.age("nonsense", now: "2026-05-01T12:00:00Z") == nil)
  }
}
