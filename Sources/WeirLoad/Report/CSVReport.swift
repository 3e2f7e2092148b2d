import Histogram
import WeirCore

/// A run as tables: `_stats`, `_history` and `_errors`, after Locust's names, and the percentile
/// distribution in HdrHistogram's own format.
package enum CSVReport {
    /// One line for each phase of each mode, and one for each mode.
    package static func stats(_ report: RunReport) -> String {
        let percentiles = Percentiles.shown
        var text =
            "mode,phase,calls,acknowledged,rejected,refused,unknown,"
            + "response_mean_ms,response_max_ms"
        for at in percentiles { text += ",response_\(at.name)_ms,service_\(at.name)_ms" }
        text += ",lag_p99_ms\n"
        for result in report.results {
            let rows =
                zip(report.plan.phases.map(\.name), result.measured.tallies).map { ($0, $1) }
                + [("total", result.total)]
            for (name, tally) in rows {
                var cells = [
                    result.mode.rawValue, name, "\(tally.calls)", "\(tally.acknowledged)",
                    "\(tally.rejected)", "\(tally.refused)", "\(tally.unknown)",
                    milliseconds(tally.latency.response.meanSpan),
                    milliseconds(tally.latency.response.highestSpan),
                ]
                for at in percentiles {
                    for values in [tally.latency.response, tally.latency.service] {
                        let isTold = values.totalCount >= at.samplesMin
                        cells.append(
                            isTold ? milliseconds(values.span(atPercentile: at.value)) : "")
                    }
                }
                cells.append(milliseconds(tally.latency.lag.span(atPercentile: 99)))
                text += cells.map(cell).joined(separator: ",") + "\n"
            }
        }
        return text
    }

    /// One line for each span of time.
    package static func history(_ report: RunReport) -> String {
        var text = "mode,seconds,phase,sent,acknowledged,failed,in_flight,p50_ms,p99_ms\n"
        for result in report.results {
            let series = result.measured.series
            for (index, bin) in series.used.enumerated() {
                let time = Nanoseconds(series.width.count * Int64(index))
                let phase = report.plan.phases[report.plan.phase(at: time)].name
                let cells = [
                    result.mode.rawValue, fixed(time.seconds, 3), phase, "\(bin.sent)",
                    "\(bin.acknowledged)", "\(bin.failed)", "\(bin.inFlight)",
                    bin.response.map { fixed(Double($0.valueAtPercentile(50)) / 1e6, 3) } ?? "",
                    bin.response.map { fixed(Double($0.valueAtPercentile(99)) / 1e6, 3) } ?? "",
                ]
                text += cells.map(cell).joined(separator: ",") + "\n"
            }
        }
        return text
    }

    package static func errors(_ report: RunReport) -> String {
        var text = "mode,code,calls\n"
        for result in report.results {
            for (code, count) in result.total.errors.sorted(by: { $0.key < $1.key }) {
                text +=
                    [result.mode.rawValue, code, "\(count)"].map(cell).joined(separator: ",")
                    + "\n"
            }
        }
        return text
    }

    /// Of the responses, in milliseconds; one distribution after the other where there are several
    /// modes.
    package static func distributions(_ report: RunReport) -> String {
        var text = ""
        for result in report.results {
            if report.results.count > 1 { text += "#[Mode = \(result.mode.rawValue)]\n" }
            result.total.latency.response.outputPercentileDistribution(
                to: &text, outputValueUnitScalingRatio: 1e6)
        }
        return text
    }

    private static func milliseconds(_ span: Nanoseconds?) -> String {
        span.map { fixed($0.milliseconds, 3) } ?? ""
    }

    /// RFC 4180.
    private static func cell(_ text: String) -> String {
        let needsQuotes = text.contains { ",\"\n\r".contains($0) }
        return needsQuotes ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
    }
}
