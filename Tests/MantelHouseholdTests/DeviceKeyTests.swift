import Glibc
import MantelCore
import Testing

@testable import MantelHousehold

@Suite struct DeviceKeyTests {
  /// A directory that is removed when the test ends.
  private func withDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/mantel-key-XXXXXX\0".utf8CString.map { CChar($0) })
    guard mkdtemp(&template) != nil else { throw KeyFileError(code: .io, path: "/tmp", errno: errno) }
    let directory = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      for name in ["key", "key.new", "other"] { unlink("\(directory)/\(name)") }
      rmdir(directory)
    }
    try body(directory)
  }

  private func write(_ text: String, to path: String, mode: mode_t = 0o600) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    _ = text.withCString { Glibc.write(descriptor, $0, strlen($0)) }
    fchmod(descriptor, mode)
    close(descriptor)
  }

  @Test func aKeyIsTheSameAfterEachLoad() throws {
    try withDirectory { directory in
      let path = "\(directory)/key"
      // What a crash while creating leaves behind does not matter.
      write("half a key", to: "\(path).new")
      let created = try DeviceKey.create(at: path)
      let loaded = try DeviceKey.load(from: path)
      #expect(loaded.machine == created.machine)
      #expect(loaded.publicKey == created.publicKey)
      #expect(loaded.certificateDER == created.certificateDER)
      #expect(loaded.privateKeyDER == created.privateKeyDER)
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
      #expect(access("\(path).new", F_OK) != 0)
      #expect(throws: KeyFileError(code: .exists, path: path, errno: EEXIST)) {
        try DeviceKey.create(at: path)
      }
      #expect(try DeviceKey.load(from: path).machine == created.machine)
      chmod(path, 0o640)
      #expect(throws: KeyFileError(code: .tooOpen, path: path)) { try DeviceKey.load(from: path) }
    }
  }

  @Test func whatIsNotAKeyFileIsRefused() throws {
    try withDirectory { directory in
      let path = "\(directory)/key"
      #expect(throws: KeyFileError(code: .notFound, path: path, errno: ENOENT)) {
        try DeviceKey.load(from: path)
      }
      #expect(throws: KeyFileError.self) { try DeviceKey.load(from: directory) }
      #expect(throws: KeyFileError.self) { try DeviceKey.create(at: "\(directory)/no/key") }
      let key = DeviceKey()
      let other = "\(directory)/other"
      _ = try DeviceKey.create(at: other)
      let wrong = [
        "", "nonsense", key.privateKeyPEM, key.privateKeyPEM + "\n" + key.privateKeyPEM,
        String(repeating: "x", count: KeyFile.maximumBytes + 1),
        // Another key's certificate.
        key.privateKeyPEM + "\n"
          + String(decoding: try KeyFile.read(other), as: UTF8.self).split(
            separator: "-----END PRIVATE KEY-----")[1],
      ]
      for text in wrong {
        write(text, to: path)
        #expect(throws: KeyFileError(code: .malformed, path: path)) { try DeviceKey.load(from: path) }
      }
    }
  }

  @Test func theCertificateTellsTheMachine() throws {
    let key = DeviceKey()
    let identity = try PeerCertificate.identity(ofDER: key.certificateDER)
    #expect(identity.machine == key.machine && identity.publicKey == key.publicKey)
    #expect(key.publicKey.count == 91 && key.certificateDER.count < 400)
    // 1970 as UTCTime, 9999 as GeneralizedTime.
    let text = String(decoding: key.certificateDER, as: UTF8.self)
    #expect(text.contains("700101000000Z") && text.contains("99991231235959Z"))
    #expect(text.split(separator: "mantel").count == 3)
  }

  @Test func onlySmallP256CertificatesAreTaken() throws {
    let der = DeviceKey().certificateDER
    for count in 0..<der.count {
      #expect(throws: CertificateError.malformed) {
        try PeerCertificate.identity(ofDER: Array(der.prefix(count)))
      }
    }
    #expect(throws: CertificateError.tooLong) {
      try PeerCertificate.identity(
        ofDER: der + [UInt8](repeating: 0, count: Limits.certificateBytes))
    }
    // The curve's name in the key changed to one that is not P-256.
    let p256: [UInt8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]
    let place = try #require(der.indices.first { der[$0...].starts(with: p256) })
    var other = der
    other[place + 7] = 0x06
    #expect(throws: CertificateError.self) { try PeerCertificate.identity(ofDER: other) }
  }
}
