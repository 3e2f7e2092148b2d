import Testing

/// One array type of the differential test: an array in JSON and in PostgreSQL's text form.
struct DifferentialArray: Sendable, CustomTestStringConvertible {
    struct Value: Sendable {
        var text: String
        var json: String?
    }

    var sql: String
    var element: DifferentialType
    /// All its elements are in form, as far as it is an array at all.
    var form: String {
        "(SELECT COALESCE(bool_and(\(element.form)), true) FROM unnest(elements(o.t)) AS e(t))"
    }
    var loss: String {
        "(SELECT COALESCE(bool_or(\(element.loss)), false) FROM unnest(elements(o.t)) AS e(t))"
    }
    var testDescription: String { sql }

    static let all: [DifferentialArray] = [
        "boolean", "integer", "bigint", "double precision", "numeric", "numeric(6,2)", "text",
        "varchar(5)", "char(5)", "code", "mood", "uuid", "bytea", "date", "time", "timestamptz",
        "interval", "inet", "int4range", "tstzrange",
    ].compactMap { name in
        DifferentialType.all.first { $0.sql == name }.map {
            DifferentialArray(sql: "\(name)[]", element: $0)
        }
    }

    /// An array of up to three dimensions, now and then a ragged one.
    func make(_ generator: inout ValueGenerator) -> Value {
        let lengths = (0..<(generator.chance(70) ? 1 : generator.number(2...3))).map { _ in
            generator.number(1...3)
        }
        if generator.chance(5) { return Value(text: "{}", json: generator.chance(50) ? "[]" : nil) }
        let value = array(lengths[...], &generator)
        return generator.chance(50) ? value : Value(text: value.text, json: nil)
    }

    private func array(_ lengths: ArraySlice<Int>, _ generator: inout ValueGenerator) -> Value {
        guard let length = lengths.first else { return scalar(&generator) }
        let isRagged = generator.chance(2)
        let parts = (0..<(isRagged ? length + 1 : length)).map { _ in
            array(lengths.dropFirst(), &generator)
        }
        return Value(
            text: "{" + parts.map(\.text).joined(separator: ",") + "}",
            json: "[" + parts.compactMap(\.json).joined(separator: ",") + "]")
    }

    private func scalar(_ generator: inout ValueGenerator) -> Value {
        if generator.chance(8) { return Value(text: "NULL", json: "null") }
        let text = element.make(&generator)
        var literal = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { literal += "\\" }
            literal.unicodeScalars.append(scalar)
        }
        let json = element.sql == "boolean" ? booleanJSON(text) : quoted(text)
        return Value(text: literal + "\"", json: json)
    }

    /// JSON has two words for a boolean; all others are no JSON value for it.
    private func booleanJSON(_ text: String) -> String {
        switch text.lowercased() {
        case "t", "true", "yes", "y", "on", "1": "true"
        case "f", "false", "no", "n", "off", "0": "false"
        default: quoted(text)
        }
    }
}
