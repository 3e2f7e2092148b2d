import WeirCore
import WeirRecord

/// Makes up values from a column's type: as JSON, as PostgreSQL's text form, and as PostgreSQL will
/// print what was stored, which is what the audit compares.
struct ValueGenerator {
    struct Value {
        var json: Pieces
        /// As a parameter in text form; `nil` is NULL.
        var text: Pieces?
        /// What `column::text` gives; `nil` where that is not known for certain.
        var stored: Pieces?

        init(json: Pieces, text: Pieces?, stored: Pieces?) {
            self.json = json
            self.text = text
            self.stored = stored
        }

        /// A number or a word that JSON writes without quotes.
        static func bare(_ text: String) -> Value {
            Value(json: Pieces(text), text: Pieces(text), stored: Pieces(text))
        }

        static func string(_ text: String, stored: String? = nil) -> Value {
            Value(
                json: Pieces(text).quoted, text: Pieces(text), stored: Pieces(stored ?? text))
        }
    }

    private var random: SplitMix64
    /// Bits that tell this run's values from another's.
    private let nonce: UInt64

    init(seed: UInt64, nonce: UInt64) {
        random = SplitMix64(seed: seed)
        self.nonce = nonce
    }

    /// A value for each message in a template that several messages share.
    ///
    /// - Parameter isUnique: no two messages may have the same one.
    /// - Returns: `nil` where the type has no generator.
    mutating func value(for column: Column, isUnique: Bool) -> Value? {
        isUnique ? unique(column.type) : value(column.type)
    }

    private mutating func unique(_ type: ColumnType) -> Value? {
        switch type {
        case .int4, .int8, .numeric(nil), .float8:
            let number = Pieces(.number(plus: KeyForm.numberBase))
            return Value(json: number, text: number, stored: number)
        case .uuid:
            let id = Pieces(.uuid(high: nonce, plus: 0))
            return Value(json: id.quoted, text: id, stored: id)
        case .text, .varchar, .character:
            var text = Pieces(KeyForm.prefix(nonce))
            text.append(.number(plus: 0))
            guard fits(type, 30) else { return nil }
            return Value(json: text.quoted, text: text, stored: text)
        default: return nil
        }
    }

    private func fits(_ type: ColumnType, _ length: Int) -> Bool {
        switch type {
        case .varchar(let most): length <= most
        case .character(let most): length <= most ?? 1
        default: true
        }
    }

    private mutating func value(_ type: ColumnType) -> Value? {
        switch type {
        case .boolean: return .bare(number(0...1) == 0 ? "false" : "true")
        case .int2, .int4, .int8: return .bare("\(number(0...9_999))")
        // Halves and quarters are exact in binary, and print as they are.
        case .float4, .float8:
            return .bare("\(number(0...999)).\(["25", "5", "75"][number(0...2)])")
        case .numeric(let limits): return numeric(limits)
        case .text: return .string(words(4))
        case .varchar(let length): return .string(String(words(4).prefix(length)).trimmedEnd)
        case .character(let length):
            return .string(String(words(4).prefix(length ?? 1)).trimmedEnd)
        case .uuid:
            var bytes: [UInt8] = []
            Pieces.appendUUID(random.next(), random.next(), to: &bytes)
            return .string(String(decoding: bytes, as: UTF8.self))
        case .bytea: return .string("\\x" + hex(random.next()))
        case .json: return .jsonValue("{\"n\":\(number(0...999))}", stored: nil)
        case .jsonb:
            let count = number(0...999)
            return .jsonValue("{\"n\":\(count)}", stored: "{\"n\": \(count)}")
        default: return calendarOrOther(type)
        }
    }

    private mutating func calendarOrOther(_ type: ColumnType) -> Value? {
        let day = "20\(two(10...29))-\(two(1...12))-\(two(1...28))"
        let time = "\(two(0...23)):\(two(0...59)):\(two(0...59))"
        switch type {
        case .date: return .string(day)
        case .time: return .string(time)
        case .timetz: return .string(time + "Z", stored: time + "+00")
        case .timestamp: return .string("\(day)T\(time)", stored: "\(day) \(time)")
        case .timestamptz: return .string("\(day)T\(time)Z", stored: "\(day) \(time)+00")
        case .interval:
            let hours = two(1...23)
            return .string("PT\(hours)H", stored: "\(hours):00:00")
        case .inet:
            let address = "10.\(number(0...255)).\(number(0...255)).\(number(1...254))"
            return .string(address, stored: address + "/32")
        case .cidr: return .string("10.\(number(0...255)).0.0/16")
        case .enumeration(let type):
            guard !type.labels.isEmpty else { return nil }
            return .string(type.labels[number(0...(type.labels.count - 1))])
        case .range: return .string("empty")
        case .array: return .string("{}")
        default: return nil
        }
    }

    private mutating func numeric(_ limits: NumericLimits?) -> Value {
        guard let limits else { return .bare("\(number(0...9_999)).\(number(1...9))") }
        let places = max(0, min(limits.scale, 6))
        let whole = min(max(limits.precision - max(limits.scale, 0), 0), 4)
        var most = 1
        for _ in 0..<whole { most *= 10 }
        var text = "\(number(0...(most - 1)))"
        guard limits.scale >= 0, limits.scale <= 6 else {
            // Stored with digits that are not sent, or without some that are.
            return Value(json: Pieces("0"), text: Pieces("0"), stored: nil)
        }
        if places > 0 { text += "." + (0..<places).map { _ in "\(number(0...9))" }.joined() }
        return .bare(text)
    }

    // MARK: Parts

    private mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &random)
    }

    private mutating func two(_ range: ClosedRange<Int>) -> String {
        let value = number(range)
        return value < 10 ? "0\(value)" : "\(value)"
    }

    private mutating func words(_ count: Int) -> String {
        let words = [
            "shipped", "blue", "paper", "second", "gift", "fragile", "north", "café", "return",
            "box",
        ]
        return (0..<count).map { _ in words[number(0...(words.count - 1))] }
            .joined(separator: " ")
    }

    private func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension ValueGenerator.Value {
    static func jsonValue(_ json: String, stored: String?) -> Self {
        Self(json: Pieces(json), text: Pieces(json), stored: Pieces(stored ?? json))
    }
}

extension String {
    /// char(n) gives trailing spaces up.
    fileprivate var trimmedEnd: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text.isEmpty ? "x" : text
    }
}
