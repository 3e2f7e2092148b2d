import Testing

/// One type of the differential test: how its texts are made, and where the gateway may be stricter
/// than PostgreSQL. docs/TYPES.md says the same in words.
struct DifferentialType: Sendable, CustomTestStringConvertible {
    var sql: String
    /// SQL over the text `t`: it is in the form that the gateway takes.
    var form: String
    /// SQL over the text `t`: the type holds less than it says.
    var loss = "false"
    /// Sent as text only, not as a JSON string too.
    var isTextOnly = false
    /// Sent as a JSON number where it is one.
    var isNumber = false
    var make: @Sendable (inout ValueGenerator) -> String
    var testDescription: String { sql }

    private static func matches(_ pattern: String) -> String { "t ~* '^(\(pattern))$'" }

    private static let decimalForm = #"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?"#
    private static let dayForm = #"(\d{4}|[1-9]\d{4,6})-\d\d-\d\d"#
    private static let timeForm = #"\d\d:\d\d(:([0-5]\d|6[1-9]|[7-9]\d)(\.\d+)?)?"#
    private static let offsetForm = #"(z|[-+]\d\d(\d\d|:\d\d(:\d\d)?)?)"#
    private static let intervalForm: String = {
        let number = #"-?0*\d{1,9}"#
        let time = #"[-+]?0*\d{1,9}:[0-5]\d(:[0-5]\d(\.\d+)?)?"#
        let iso =
            "P(?=[-0-9T])(\(number)Y)?(\(number)M)?(\(number)W)?(\(number)D)?"
            + "(T(?=[-0-9])(\(number)H)?(\(number)M)?(\(number)(\\.\\d+)?S)?)?"
        let count = #"[-+]?0*\d{1,9}"#
        let unit =
            "(\(count) (years?|mon(th)?s?|weeks?|days?|hours?|min(ute)?s?)"
            + "|\(count)(\\.\\d+)? sec(ond)?s?)"
        return "\(iso)|\(unit)( \(unit))*( \(time))?|\(time)"
    }()
    private static let fourForm = #"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}(/(0|[1-9]\d?\d?))?"#
    private static let sixForm =
        #"[0-9a-f:]*:([0-9a-f]*|(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3})(/(0|[1-9]\d?\d?))?"#

    static let all: [DifferentialType] =
        [
            DifferentialType(
                sql: "boolean", form: matches("true|t|yes|y|on|1|false|f|no|n|off|0"),
                isTextOnly: true,
                make: { make in
                    let word = make.pick([
                        "true", "T", "yes", "y", "on", "1", "FALSE", "f", "no", "off", "0",
                    ])
                    return make.chance(30) ? make.damaged(word, "truefalsonyd01 ") : word
                })
        ] + integers + numbers + texts + times + networks + ranges

    static let integers = ["smallint", "integer", "bigint"].map { sql in
        DifferentialType(sql: sql, form: matches(#"-?\d+"#), isNumber: true) { make in
            let text = make.integer()
            return make.chance(20) ? make.damaged(text, "0123456789-+ .e_x") : text
        }
    }

    static let numbers: [DifferentialType] = [
        number("real"), number("double precision"), number("numeric"),
        number("numeric(6,2)", isBounded: true), number("numeric(3,-2)", isBounded: true),
        number("numeric(2,4)", isBounded: true), number("numeric(40)", isBounded: true),
        number("price", isBounded: true),
    ]

    private static func number(_ sql: String, isBounded: Bool = false) -> DifferentialType {
        DifferentialType(
            sql: sql, form: matches("\(decimalForm)|nan|[-+]?inf(inity)?"),
            loss: isBounded ? "is_rounded(t, '\(sql)')" : "false", isNumber: true
        ) { make in
            let text = make.decimal()
            return make.chance(15) ? make.damaged(text, "0123456789-+ .eEx") : text
        }
    }

    static let texts: [DifferentialType] = [
        DifferentialType(sql: "text", form: "true") { $0.word(0...20) },
        DifferentialType(sql: "varchar(5)", form: "true") { $0.word(0...8) },
        DifferentialType(sql: "char(5)", form: "true") { $0.word(0...8) },
        DifferentialType(sql: "bpchar", form: "true") { $0.word(0...8) },
        DifferentialType(sql: "code", form: "true") { $0.word(0...5) },
        DifferentialType(sql: "mood", form: "true") { make in
            let word = make.pick(["sad", "ok", "it's", "a b", "é"])
            return make.chance(30) ? make.damaged(word, "sadok' bé") : word
        },
        DifferentialType(
            sql: "uuid", form: matches("[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
        ) { make in
            let text = make.uuid()
            return make.chance(40) ? make.damaged(text, "0aF-{}g ") : text
        },
        DifferentialType(sql: "bytea", form: matches(#"\\x([0-9a-f]{2})*"#)) { make in
            let text = "\\x" + make.hex(make.number(0...6) * 2)
            return make.chance(40) ? make.damaged(text, "0aFg xé", keeping: 2) : text
        },
        DifferentialType(sql: "json", form: "true", isTextOnly: true) { make in
            let text = make.document()
            return make.chance(40) ? make.damaged(text, "{}[],:\"\\ntu0e.-+ \t'") : text
        },
        DifferentialType(sql: "jsonb", form: "is_json(t)", isTextOnly: true) { make in
            let text = make.document()
            return make.chance(40) ? make.damaged(text, "{}[],:\"\\ntu0e.-+ \t'") : text
        },
    ]

    static let times: [DifferentialType] = [
        time("date", dayForm + "( bc)?|-?infinity") { $0.day() + $0.era() },
        time("time", timeForm) { $0.time() },
        time("time(2)", timeForm, lossDigits: 2) { $0.time() },
        time("timetz", timeForm + offsetForm) { $0.time() + $0.offset() },
        time("timestamp", "\(dayForm)[t ]\(timeForm)( bc)?|-?infinity") { $0.moment() + $0.era() },
        time("timestamp(3)", "\(dayForm)[t ]\(timeForm)( bc)?|-?infinity", lossDigits: 3) {
            $0.moment()
        },
        time("timestamptz", "\(dayForm)[t ]\(timeForm)\(offsetForm)( bc)?|-?infinity") {
            $0.moment() + $0.offset() + $0.era()
        },
        time("timestamptz(0)", "\(dayForm)[t ]\(timeForm)\(offsetForm)|-?infinity", lossDigits: 0) {
            $0.moment() + $0.offset()
        },
        time("interval", intervalForm) { $0.interval() },
        time("interval(2)", intervalForm, lossDigits: 2) { $0.interval() },
    ]

    /// - Parameter lossDigits: digits of a second that the column keeps.
    private static func time(
        _ sql: String, _ form: String, lossDigits: Int = 6,
        _ make: @escaping @Sendable (inout ValueGenerator) -> String
    ) -> DifferentialType {
        DifferentialType(
            sql: sql, form: matches(form), loss: "t ~ '\\.\\d{\(lossDigits)}\\d*[1-9]'"
        ) { generator in
            let text = make(&generator)
            return generator.chance(15) ? generator.damaged(text, "0123456789-+:. TZPYMD") : text
        }
    }

    static let networks: [DifferentialType] = [
        DifferentialType(sql: "inet", form: matches("\(fourForm)|\(sixForm)")) { make in
            let text = make.address()
            return make.chance(25) ? make.damaged(text, "0123456789abcdef.:/ g") : text
        },
        DifferentialType(sql: "cidr", form: matches("\(fourForm)|\(sixForm)")) { make in
            let text = make.network()
            return make.chance(25) ? make.damaged(text, "0123456789abcdef.:/ g") : text
        },
    ]

    static let ranges: [DifferentialType] = [
        range("int4range", #"-?\d+"#) { make in
            make.chance(85)
                ? "\(make.number(-50...50))"
                : make.pick(["2147483647", "-2147483648", "2147483648"])
        },
        range("int8range", #"-?\d+"#) { make in
            make.chance(85)
                ? "\(make.number(-50...50))"
                : make.pick(["9223372036854775807", "9223372036854775808"])
        },
        range("numrange", "\(decimalForm)|nan|[-+]?inf(inity)?") { make in
            make.chance(60) ? "\(make.number(-20...20)).\(make.digits(1...3))" : make.decimal()
        },
        range("daterange", "\(dayForm)( bc)?|-?infinity") { make in
            make.chance(60) ? "2024-02-\(make.two(1...29))" : make.day()
        },
        range("tsrange", "\(dayForm)[t ]\(timeForm)( bc)?|-?infinity") { make in
            make.chance(60) ? "2024-02-\(make.two(1...29)) 12:00" : make.moment()
        },
        range("tstzrange", "\(dayForm)[t ]\(timeForm)\(offsetForm)( bc)?|-?infinity") { make in
            make.chance(60) ? "2024-02-\(make.two(1...29)) 12:00+02" : make.moment() + make.offset()
        },
    ]

    private static func range(
        _ sql: String, _ bound: String, _ make: @escaping @Sendable (inout ValueGenerator) -> String
    ) -> DifferentialType {
        let side = #"(\s*(\#(bound))\s*|"\s*(\#(bound))\s*"|)"#
        return DifferentialType(
            sql: sql, form: matches(#"\s*(empty|[\[(]\#(side),\#(side)[\])])\s*"#),
            loss: "t ~ '\\.\\d{6}\\d*[1-9]'"
        ) { generator in
            let text = generator.range(make)
            return generator.chance(15) ? generator.damaged(text, "0123456789-,[]() \"") : text
        }
    }
}
