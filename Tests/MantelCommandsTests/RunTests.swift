import Foundation
@testable import MantelCommands
import MantelControlTestSupport
import Synchronization
import Testing

@Suite struct RunTests {
  @Test func theUnitStartsThisProgram() {
    let unit = ServiceUnit(executable: "/opt/my apps/mantel", home: "/home/100%/$x\"y\\")
    #expect(
      unit.text == #"""
        [Unit]
        Description=Mantel, a household's photo backup

        [Service]
        Type=notify
        ExecStart="/opt/my apps/mantel" "run" "--home" "/home/100%%/$$x\"y\\"
        Restart=on-failure
        RestartSec=5
        # Wrong arguments or no household: starting again does not help.
        RestartPreventExitStatus=64
        Nice=10
        IOSchedulingClass=idle

        [Install]
        WantedBy=default.target

        """#)
  }

  @Test func theUnitKeepsMovedDirectories() throws {
    let moved = ["XDG_STATE_HOME": "/data/state", "PATH": "/bin"]
    let unit = try ServiceUnit(home: nil, environment: moved)
    #expect(unit.text.contains("\nEnvironment=\"XDG_STATE_HOME=/data/state\"\n"))
    #expect(!unit.text.contains("--home"))
    let chosen = try ServiceUnit(home: nil, environment: moved.merging(["MANTEL_HOME": "/m"]) { $1 })
    #expect(chosen.text.contains("\"--home\" \"/m\"\n"))
    #expect(!chosen.text.contains("Environment="))
  }

  @Test func aServiceNeedsAHouseholdFirst() async throws {
    try await withTemporaryDirectory { directory in
      let result = await mantel(
        "service", "install", "--home", directory + "/h", environment: ["HOME": directory])
      #expect(result.code == 64)
      #expect(!FileManager.default.fileExists(atPath: directory + "/.config"))
    }
  }

  @Test func withoutSystemdItSaysWhatToDo() async throws {
    try await withTemporaryDirectory { directory in
      let environment = ["HOME": directory, "PATH": directory]
      #expect(await mantel("init", "--name", "a", "--home", directory + "/h").code == 0)
      let result = await mantel(
        "service", "install", "--home", directory + "/h", environment: environment)
      #expect(result.code == 1)
      #expect(result.messages.contains("there is no systemctl here"))
      let path = directory + "/.config/systemd/user/mantel.service"
      let text = try String(contentsOfFile: path, encoding: .utf8)
      #expect(text.contains("\"run\" \"--home\" \"\(directory)/h\""))
      #expect(await mantel("service", "status", environment: environment).text.hasPrefix("not running\n"))
      #expect(await mantel("service", "remove", environment: environment).code == 0)
      #expect(!FileManager.default.fileExists(atPath: path))
      #expect(await mantel("service", "status", environment: environment).code == 3)
    }
  }

  @Test func theSupervisorIsTold() async throws {
    try await withTemporaryDirectory { directory in
      let path = directory + "/notify"
      let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
      try #require(descriptor >= 0)
      defer { close(descriptor) }
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      let isBound = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
      }
      try #require(isBound)
      ServiceNotification(environment: ["NOTIFY_SOCKET": path]).send("READY=1")
      var message = [UInt8](repeating: 0, count: 64)
      let count = recv(descriptor, &message, message.count, Int32(MSG_DONTWAIT))
      #expect(count > 0 && String(decoding: message.prefix(max(0, count)), as: UTF8.self) == "READY=1")
      // Nowhere to tell, or nobody there: nothing happens.
      ServiceNotification(environment: [:]).send("READY=1")
      ServiceNotification(environment: ["NOTIFY_SOCKET": path + "x"]).send("READY=1")
    }
  }

  @Test func readyIsSaidOnceAllPartsAre() {
    let count = Counter()
    let readiness = Readiness(parts: 2) { count.value.withLock { $0 += 1 } }
    readiness.partIsReady()
    #expect(count.value.withLock { $0 } == 0)
    readiness.partIsReady()
    #expect(count.value.withLock { $0 } == 1)
  }

  private final class Counter: Sendable {
    let value = Mutex(0)
  }
}
