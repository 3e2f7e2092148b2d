import Foundation
import Testing

/// The page of a real run, in a real browser.
extension LoadCommandTests {
    @Test func thePageReadsOnAPhoneAndInTheDark() throws {
        let folder = NSTemporaryDirectory() + "weir-run-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let output = try load(
            "--db", try database().conninfo, "--compare", "pool,gateway", "--shape", "spike",
            "--pool", "5", "--rate", "60", "-z", "4s", "--html", folder + "/page.html", "--csv",
            folder + "/run", "--hgrm", folder + "/run.hgrm")
        #expect(Self.measured.contains(output.status), "\(output.errors)")
        let page = try String(contentsOfFile: folder + "/page.html", encoding: .utf8)
        #expect(!page.contains("NaN") && !page.contains("inf"), "no point outside every axis")
        #expect(!page.contains("http") && !page.contains("<script"), "self-contained")

        let phone = try Browser.look(page, width: 500, isDark: false)
        #expect(phone.scrollWidth <= phone.width, "the page does not scroll sideways")
        let desktop = try Browser.look(page, width: 1_280, isDark: true)
        for look in [phone, desktop] {
            // Five charts for two modes, and the batch sizes, which only a gateway tells.
            #expect(look.lines == 11 && look.linesOutside == 0 && look.rows >= 15, "\(look)")
            #expect(look.requests == 0)
        }
        #expect(phone.background == "rgb(255, 255, 255)" && desktop.background == "rgb(20, 23, 26)")
        #expect(phone.text != desktop.text)

        let stats = try String(contentsOfFile: folder + "/run_stats.csv", encoding: .utf8)
        let lines = stats.split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        #expect(lines.count == 9, "a head, and three phases and a total for each mode")
        #expect(Set(lines.map(\.count)).count == 1)
        let history = try String(contentsOfFile: folder + "/run_history.csv", encoding: .utf8)
        #expect(history.hasPrefix("mode,seconds,phase,sent,"))
        let hgrm = try String(contentsOfFile: folder + "/run.hgrm", encoding: .utf8)
        #expect(hgrm.contains("Value     Percentile TotalCount 1/(1-Percentile)"))
    }
}
