import WeirCore

/// Texts for values of a type: valid ones, those just past a limit, and those with a letter wrong.
struct ValueGenerator {
    var random: SplitMix64

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    mutating func chance(_ percent: Int) -> Bool { number(1...100) <= percent }

    mutating func pick<T>(_ values: [T]) -> T { values[number(0...(values.count - 1))] }

    mutating func digits(_ count: ClosedRange<Int>) -> String {
        let length = number(count)
        return String((0..<length).map { _ in Character("\(number(0...9))") })
    }

    mutating func two(_ range: ClosedRange<Int>) -> String {
        let value = number(range)
        return value < 10 ? "0\(value)" : "\(value)"
    }

    /// One letter taken out, put in, or changed, behind the first `kept` ones.
    mutating func damaged(_ text: String, _ alphabet: String, keeping kept: Int = 0) -> String {
        var letters = Array(text)
        let place = number(kept...max(kept, letters.count))
        let letter = pick(Array(alphabet))
        switch number(0...2) {
        case 0 where place < letters.count: letters.remove(at: place)
        case 1 where place < letters.count: letters[place] = letter
        default: letters.insert(letter, at: min(place, letters.count))
        }
        return String(letters)
    }

    // MARK: Numbers

    mutating func integer() -> String {
        let edges = [
            0, 1, 32_767, 32_768, -32_768, -32_769, 2_147_483_647, 2_147_483_648, -2_147_483_648,
            -2_147_483_649, Int.max, Int.min,
        ]
        switch number(0...3) {
        case 0: return "\(pick(edges))"
        case 1: return "\(pick(edges) / 10)" + digits(1...2)
        case 2: return pick(["", "-", "+"]) + digits(1...5)
        default: return pick(["", "-"]) + digits(1...22)
        }
    }

    mutating func decimal() -> String {
        var text = pick(["", "", "-", "+"])
        switch number(0...9) {
        case 0: return text + pick(["NaN", "Infinity", "inf", "nan", "infinity", "INF"])
        case 1: text += "."
        default: text += digits(1...(chance(10) ? 40 : 6)) + pick(["", ".", "."])
        }
        if text.hasSuffix(".") { text += digits(0...(chance(10) ? 40 : 5)) }
        if chance(30) { text += pick(["e", "E"]) + pick(["", "-", "+"]) + digits(1...2) }
        if chance(3) {
            text += pick(["e131072", "e131071", "e-16383", "e-16384", "e400", "e-400"])
        }
        if chance(20) { text += "000" }
        return text
    }

    // MARK: Days and times

    mutating func day() -> String {
        if chance(4) { return pick(["infinity", "-infinity", "Infinity"]) }
        let year =
            chance(80)
            ? "\(number(1000...2999))"
            : pick([
                "0001", "0000", "9999", "10000", "294276", "294277", "5874897", "5874898", "4713",
                "4714", "4715", "012345",
            ])
        let month = chance(90) ? two(1...12) : two(0...14)
        let day = chance(90) ? two(1...28) : two(0...32)
        return "\(year)-\(month)-\(day)"
    }

    mutating func time() -> String {
        let hour = chance(90) ? two(0...23) : two(22...26)
        let minute = chance(95) ? two(0...59) : two(57...62)
        if chance(10) { return "\(hour):\(minute)" }
        let second = chance(95) ? two(0...59) : two(57...62)
        var text = chance(3) ? "24:00:00" : "\(hour):\(minute):\(second)"
        if chance(50) { text += "." + digits(1...7) + pick(["", "0", "000"]) }
        return text
    }

    mutating func offset() -> String {
        pick([
            "", "Z", "z", "+00", "-00:00", "+\(two(0...16)):\(two(0...61))",
            "-\(two(0...15))\(two(0...59))", "+\(two(0...14))", "-03:30:15", "+05:30",
        ])
    }

    mutating func era() -> String { chance(5) ? " BC" : "" }

    mutating func moment() -> String {
        let day = day()
        if day.contains("n") { return day }
        return day + pick(["T", " ", "t"]) + time()
    }

    mutating func interval() -> String {
        func count() -> String {
            var text = pick(["", "", "-", "+"])
            text += chance(95) ? digits(1...3) : digits(9...11)
            return text
        }
        func second() -> String { count() + (chance(40) ? "." + digits(1...7) : "") }
        var text = ""
        if chance(50) {
            text = "P"
            for unit in ["Y", "M", "W", "D"] where chance(40) { text += count() + unit }
            guard chance(60) else { return text }
            text += "T"
            for unit in ["H", "M"] where chance(50) { text += count() + unit }
            return chance(60) ? text + second() + "S" : text
        }
        let units = [
            ["year", "years"], ["mon", "mons", "month", "months"], ["week", "weeks"],
            ["day", "days"],
        ]
        for names in units where chance(40) {
            text += "\(count()) \(pick(names)) "
        }
        if chance(30) { text += "\(count()) \(pick(["hour", "hours"])) " }
        if chance(30) { text += "\(second()) \(pick(["sec", "secs", "second", "seconds"])) " }
        if chance(40) { text += pick(["", "-", "+"]) + time() }
        return text.hasSuffix(" ") ? String(text.dropLast()) : text
    }

    // MARK: Text

    mutating func word(_ length: ClosedRange<Int>) -> String {
        let letters: [Character] = [
            "a", "b", "Z", "0", " ", " ", "é", "😀", "\"", "\\", ",", "{", "}", "'", "\t", "(", ")",
            "[", "]", "\u{301}",
        ]
        var text = ""
        for _ in 0..<number(length) { text.append(pick(letters)) }
        return text
    }

    mutating func hex(_ count: Int) -> String {
        String((0..<count).map { _ in pick(Array("0123456789abcdefABCDEF")) })
    }

    mutating func uuid() -> String {
        let text = hex(32)
        guard chance(60) else { return text }
        var parts: [String] = []
        var rest = text[...]
        for length in [8, 4, 4, 4, 12] {
            parts.append(String(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return parts.joined(separator: "-")
    }

    mutating func document(_ depth: Int = 0) -> String {
        let space = chance(10) ? " " : ""
        switch number(0...(depth > 3 ? 4 : 7)) {
        case 0: return pick(["true", "false", "null"])
        case 1: return "\(number(-1000...1000))" + space
        case 2:
            return pick(["1e5", "-0", "1.50", "1E-7", "0.1e+3", "1e131072", "1e-16384", "-1e400"])
        case 3, 4: return string()
        case 5, 6:
            let members = (0..<number(0...3)).map { _ in document(depth + 1) }
            return "[" + space + members.joined(separator: "," + space) + "]"
        default:
            let members = (0..<number(0...3)).map { _ in
                "\(string())\(space):\(document(depth + 1))"
            }
            return "{" + members.joined(separator: ",") + space + "}"
        }
    }

    private mutating func string() -> String {
        var text = ""
        for _ in 0..<number(0...4) {
            text += pick([
                "a", "é", "😀", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\uD83D\\uDE00", " ",
                chance(10) ? "\\u0000" : "b", chance(10) ? "\\ud800" : "c",
            ])
        }
        return "\"\(text)\""
    }

    // MARK: Networks

    mutating func address() -> String {
        var text: String
        if chance(50) {
            text = (0..<(chance(95) ? 4 : 3)).map { _ in "\(number(0...(chance(97) ? 255 : 300)))" }
                .joined(separator: ".")
            return chance(50) ? text + "/\(number(0...33))" : text
        }
        text = pick([
            "::", "::1", "1::", "fe80::1", "2001:db8::ff00:42:8329", "::ffff:10.0.0.1",
            "1:2:3:4:5:6:7:8",
            "0:0:0:0:0:0:0:0", "1:0:0:2::3", "ABCD::", "1::2::3", "1:2:3:4:5:6:7", "::1.2.3.4",
        ])
        return chance(50) ? text + "/\(number(0...130))" : text
    }

    mutating func network() -> String {
        chance(30)
            ? address()
            : pick([
                "10.0.0.0/\(number(7...32))", "192.168.\(number(0...3)).0/\(number(22...26))",
                "2001:db8::/\(number(28...64))", "::/0", "0.0.0.0/0", "10.1.2.3",
            ])
    }

    // MARK: Ranges

    mutating func range(_ bound: (inout ValueGenerator) -> String) -> String {
        if chance(4) { return pick(["empty", "EMPTY", " empty "]) }
        func quoted(_ text: String) -> String { chance(30) ? "\"\(text)\"" : text }
        let lower = chance(15) ? "" : quoted(bound(&self))
        let upper = chance(15) ? "" : chance(10) ? lower : quoted(bound(&self))
        return pick(["[", "("]) + lower + "," + upper + pick(["]", ")"])
    }
}
