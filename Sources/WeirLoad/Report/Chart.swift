#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A line chart as SVG, drawn by hand: a line for each mode.
struct Chart {
    enum Axis {
        /// 1/(1-p): 1, 10, 100 are p0, p90, p99.
        case percentile
        case seconds
        case size
        /// These, at logarithmic distances.
        case counts([Int])
    }

    var title: String
    let x: Axis
    var isLogY = false
    var lines: [[(Double, Double)]] = []
    /// From where to where a value may be.
    var spans: [(x: Double, low: Double, high: Double)] = []
    /// What begins or is found there.
    var marks: [(at: Double, name: String)] = []

    init(title: String, x: Axis, isLogY: Bool = false) {
        self.title = title
        self.x = x
        self.isLogY = isLogY
    }

    private static let width = 560.0
    private static let height = 260.0
    private static let left = 58.0
    private static let right = 12.0
    private static let top = 18.0
    private static let bottom = 28.0
    private var isLogX: Bool { if case .seconds = x { false } else { true } }

    func html(names: [String]) -> String {
        let points = lines.flatMap { $0 } + spans.map { ($0.x, $0.high) }
        var (lowX, highX) = bounds(points.map(\.0), isLog: isLogX)
        if case .percentile = x { lowX = 1 }
        // A run ends where it ends.
        if case .seconds = x, let last = points.map(\.0).max(), last > 0 { highX = last }
        if case .counts(let counts) = x, let first = counts.first, let last = counts.last {
            (lowX, highX) = (Double(first), Double(last))
        }
        if highX <= lowX { highX = lowX + 1 }
        let (lowY, highY) = bounds(points.map(\.1), isLog: isLogY)
        func place(_ value: Double, _ low: Double, _ high: Double, _ isLog: Bool) -> Double {
            isLog
                ? (log(max(value, low)) - log(low)) / (log(high) - log(low))
                : (value - low) / (high - low)
        }
        func px(_ value: Double) -> Double {
            Self.left + place(value, lowX, highX, isLogX) * (Self.width - Self.left - Self.right)
        }
        func py(_ value: Double) -> Double {
            Self.height - Self.bottom
                - place(value, lowY, highY, isLogY) * (Self.height - Self.top - Self.bottom)
        }
        var svg =
            "<figure><figcaption>\(escaped(title))</figcaption>"
            + "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=img "
            + "aria-label=\"\(escaped(title))\">"
        for tick in ticks(lowY, highY, isLog: isLogY) {
            svg += line(Self.left, py(tick), Self.width - Self.right, py(tick), "grid")
            svg += text(Self.left - 6, py(tick) + 4, "end", short(tick))
        }
        for (value, label) in xTicks(lowX, highX) {
            let isAtEdge = px(value) > Self.width - 3 * Self.right
            svg += text(px(value), Self.height - 8, isAtEdge ? "end" : "middle", label)
        }
        for mark in marks where mark.at <= highX {
            svg += line(px(mark.at), Self.top, px(mark.at), Self.height - Self.bottom, "phase")
            let isAtEdge = px(mark.at) > Self.width * 0.8
            svg += text(
                px(mark.at) + (isAtEdge ? -3 : 3), Self.top - 5, isAtEdge ? "end" : "start",
                mark.name)
        }
        for span in spans {
            svg += line(px(span.x), py(span.low), px(span.x), py(span.high), "span")
        }
        for (index, points) in lines.enumerated() where !points.isEmpty {
            var path = points.enumerated().map { place, point in
                "\(place == 0 ? "M" : "L")\(fixed(px(point.0), 1)) \(fixed(py(point.1), 1))"
            }.joined()
            // A line to nowhere is not drawn: all batches of an idle gateway have one size.
            if points.count == 1 { path += "m-2 0h4" }
            svg += "<path class=s\(index % 4) d=\"\(path)\"/>"
        }
        svg += "</svg><div class=legend>"
        for (index, name) in names.enumerated() where lines.indices.contains(index) {
            svg += "<span><i class=k\(index % 4)></i>\(escaped(name))</span>"
        }
        return svg + "</div></figure>"
    }

    /// From 0, or from the power of ten below, to something round above.
    private func bounds(_ values: [Double], isLog: Bool) -> (Double, Double) {
        let most = max(values.max() ?? 1, isLog ? 1e-3 : 1e-9)
        guard isLog else { return (0, rounded(most)) }
        let least = max(values.min() ?? most, 1e-3)
        let low = pow(10, floor(log10(least)))
        return (low, max(pow(10, ceil(log10(most))), low * 10))
    }

    private func rounded(_ value: Double) -> Double {
        let unit = pow(10, floor(log10(value)))
        return [1, 2, 2.5, 5, 10].map { $0 * unit }.first { $0 >= value } ?? value
    }

    private func ticks(_ low: Double, _ high: Double, isLog: Bool) -> [Double] {
        guard isLog else { return (0...4).map { low + (high - low) * Double($0) / 4 } }
        var ticks: [Double] = []
        var tick = low
        while tick <= high * 1.001 && ticks.count < 12 {
            ticks.append(tick)
            tick *= 10
        }
        return ticks
    }

    private func xTicks(_ low: Double, _ high: Double) -> [(Double, String)] {
        switch x {
        case .seconds:
            return (0...4).map {
                let value = low + (high - low) * Double($0) / 4
                return (value, fixed(value, high < 10 ? 1 : 0) + " s")
            }
        case .counts(let counts):
            // Labels need room: powers of two, and the last.
            let shown = counts.filter { $0 & ($0 - 1) == 0 || $0 == counts.last }
            return shown.map { (Double($0), "\($0)") }
        case .size: return ticks(low, high, isLog: true).map { ($0, short($0)) }
        case .percentile:
            let names = ["p0", "p90", "p99", "p99.9", "p99.99", "p99.999", "p99.9999"]
            return zip(ticks(low, high, isLog: true), names).map { ($0, $1) }
        }
    }

    private func short(_ value: Double) -> String {
        if value >= 1e6 { return fixed(value / 1e6, value < 1e7 ? 1 : 0) + "M" }
        if value >= 1e4 { return fixed(value / 1e3, 0) + "k" }
        if value >= 10 || value == value.rounded() { return fixed(value, 0) }
        return fixed(value, value < 0.01 ? 3 : value < 0.1 ? 2 : 1)
    }

    private func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ name: String
    ) -> String {
        "<line class=\(name) x1=\(fixed(x1, 1)) y1=\(fixed(y1, 1)) x2=\(fixed(x2, 1)) "
            + "y2=\(fixed(y2, 1)) />"
    }

    private func text(_ x: Double, _ y: Double, _ anchor: String, _ words: String) -> String {
        "<text x=\(fixed(x, 1)) y=\(fixed(y, 1)) text-anchor=\(anchor)>\(escaped(words))</text>"
    }
}
