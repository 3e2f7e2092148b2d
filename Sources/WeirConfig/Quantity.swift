// Numbers with units as people write them: `10s`, `500ms`, `7d`; `4MiB`, `64KiB`, `1000`.

private let nanosecondsPerUnit: [(unit: String, count: Int64)] = [
    ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000),
    ("s", 1_000_000_000), ("ms", 1_000_000),
]

private let bytesPerUnit: [(unit: String, count: Int)] = [
    ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
]

/// Digits and the unit behind them; `nil` where there is no number in front.
private func parts(_ text: String) -> (number: Int, unit: String)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    // 18 digits fit.
    guard !digits.isEmpty, digits.utf8.count <= 18, let number = Int(digits) else { return nil }
    let unit = text[digits.endIndex...].drop { $0 == " " }
    return (number, String(unit))
}

extension Duration {
    /// A whole number with `ms`, `s`, `m`, `h` or `d`; `nil` for anything else.
    package init?(configured text: String) {
        guard let (number, unit) = parts(text),
            let size = nanosecondsPerUnit.first(where: { $0.unit == unit })?.count
        else { return nil }
        let (count, overflow) = Int64(number).multipliedReportingOverflow(by: size)
        guard !overflow else { return nil }
        self = .nanoseconds(count)
    }

    /// In the largest unit that leaves a whole number. Below a millisecond there is none.
    package var configured: String {
        let (seconds, attoseconds) = components
        let count = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        if count == 0 { return "0ms" }
        for (unit, size) in nanosecondsPerUnit where count % size == 0 {
            return "\(count / size)\(unit)"
        }
        return "\(count / 1_000_000)ms"
    }
}

/// Bytes: a whole number, alone or with `KiB`, `MiB` or `GiB`; `nil` for anything else.
package func byteCount(configured text: String) -> Int? {
    guard let (number, unit) = parts(text) else { return nil }
    if unit.isEmpty { return number }
    guard let size = bytesPerUnit.first(where: { $0.unit == unit })?.count else { return nil }
    let (count, overflow) = number.multipliedReportingOverflow(by: size)
    return overflow ? nil : count
}

func configuredText(byteCount: Int) -> String {
    for (unit, size) in bytesPerUnit where size > 1 && byteCount % size == 0 && byteCount > 0 {
        return "\(byteCount / size)\(unit)"
    }
    return String(byteCount)
}
