import Foundation
import Testing

/// A page in a real browser.
enum Browser {
    /// What a browser made of the page.
    struct Look: Decodable {
        var width: Int
        var scrollWidth: Int
        var lines: Int
        var linesOutside: Int
        var rows: Int
        var background: String
        var text: String
        var requests: Int
    }

    private static let script = """
        <script>addEventListener('load', () => {
          const outside = [...document.querySelectorAll('svg')].filter(svg => {
            const box = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('path')].some(path => {
              const own = path.getBoundingClientRect();
              return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1
                || own.bottom > box.bottom + 1 || own.width + own.height === 0; }); });
          const style = getComputedStyle(document.body);
          document.documentElement.setAttribute('data-look', JSON.stringify({
            width: innerWidth, scrollWidth: document.documentElement.scrollWidth,
            lines: document.querySelectorAll('path').length, linesOutside: outside.length,
            rows: document.querySelectorAll('tbody tr').length, background: style.backgroundColor,
            text: style.color, requests: performance.getEntriesByType('resource').length }));
        });</script>
        """

    static func look(_ page: String, width: Int, isDark: Bool) throws -> Look {
        let programs = [
            "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        ]
        let program = try #require(
            programs.first { FileManager.default.isExecutableFile(atPath: $0) },
            "chromium is not installed; scripts/install-dependencies --tests installs it")
        let folder = NSTemporaryDirectory() + "weir-page-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = folder + "/page.html"
        try page.replacing("</body>", with: script + "</body>")
            .write(toFile: file, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--user-data-dir=\(folder)/profile", "--window-size=\(width),900",
            "--blink-settings=preferredColorScheme=\(isDark ? 0 : 1)", "--timeout=20000",
            "--dump-dom", "file://" + file,
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let dom = String(decoding: data, as: UTF8.self)
        let parts = dom.components(separatedBy: "data-look='")
        let others = dom.components(separatedBy: "data-look=\"")
        let found = try #require(
            (parts + others).dropFirst().first { $0.hasPrefix("{") }, "\(dom.prefix(300))")
        let json = found.prefix { $0 != "}" }.replacing("&quot;", with: "\"") + "}"
        return try JSONDecoder().decode(Look.self, from: Data(json.utf8))
    }
}
