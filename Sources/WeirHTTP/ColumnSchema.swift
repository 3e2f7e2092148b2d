import WeirRecord

/// What a column takes, as JSON Schema (2020-12). It describes the JSON form; docs/TYPES.md has the
/// text form, which a string may hold too.
struct ColumnSchema {
    private let column: Column

    init(_ column: Column) {
        self.column = column
    }

    func append(to body: inout [UInt8]) {
        var json = Self.schema(of: column.type, isNullable: column.isNullable)
        if let id = column.declaredID, id.isSpelt { json = Self.schema(ofIDs: id) }
        if let value = column.constantDefault { json.append(("default", value)) }
        if !column.isWritable { json.append(("readOnly", "true")) }
        body += Self.object(json).utf8
    }

    private typealias Members = [(name: String, json: String)]

    private static func object(_ members: Members) -> String {
        "{" + members.map { "\(string($0.name)):\($0.json)" }.joined(separator: ",") + "}"
    }

    private static func string(_ text: String) -> String {
        var bytes: [UInt8] = []
        appendJSONString(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The TypeID specification, 0.3.0: 26 digits of base 32, the first of which is below 8.
    private static func schema(ofIDs id: DeclaredID) -> Members {
        [("type", "\"string\""), pattern("^\(id.rule.prefix)_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    }

    private static func schema(of type: ColumnType, isNullable: Bool) -> Members {
        if case .enumeration(let type) = type {
            let labels = type.labels.map(string) + (isNullable ? ["null"] : [])
            return [("enum", "[\(labels.joined(separator: ","))]")]
        }
        let (types, rest) = form(of: type)
        guard !types.isEmpty else { return rest }
        let all = (types + (isNullable ? ["null"] : [])).map(string)
        let json = all.count == 1 ? all[0] : "[\(all.joined(separator: ","))]"
        return [("type", json)] + rest
    }

    /// The JSON types that a column takes, none where it takes any, and what else holds for them.
    private static func form(of type: ColumnType) -> (types: [String], Members) {
        switch type {
        case .boolean: (["boolean"], [])
        case .int2: (["integer"], bounds("\(Int16.min)", "\(Int16.max)"))
        case .int4: (["integer"], bounds("\(Int32.min)", "\(Int32.max)"))
        case .int8: (["integer"], bounds("\(Int64.min)", "\(Int64.max)"))
        // As strings: NaN, the infinities, and digits that a caller's JSON library would drop.
        case .float4, .float8, .numeric(nil): (["number", "string"], [])
        case .numeric(let limits?): (["number", "string"], bounds(limits))
        case .text: (["string"], [])
        case .varchar(let length), .character(let length?):
            (["string"], [("maxLength", "\(length)")])
        case .character(nil): (["string"], [])
        case .uuid: (["string"], [("format", "\"uuid\"")])
        case .bytea: (["string"], [pattern(#"^(\\x([0-9A-Fa-f]{2})*|[0-9A-Za-z_-]*)$"#)])
        case .json, .jsonb: ([], [])
        case .date: (["string"], [("format", "\"date\"")])
        case .time(let digits): (["string"], [pattern("^\(time(digits))$")])
        case .timetz: (["string"], [("format", "\"time\"")])
        case .timestamp(let digits):
            (
                ["string"],
                [
                    pattern(
                        "^(-?infinity|[0-9]{4,7}-[0-9]{2}-[0-9]{2}[Tt ]\(time(digits))( BC)?)$")
                ]
            )
        case .timestamptz: (["string"], [("format", "\"date-time\"")])
        case .interval: (["string"], [("examples", #"["P1DT2H","1 day 02:00:00"]"#)])
        case .inet: (["string"], [("examples", #"["10.0.0.1","10.0.0.1/8","::1"]"#)])
        case .cidr: (["string"], [("examples", #"["10.0.0.0/8","2001:db8::/32"]"#)])
        case .range: (["string"], [("examples", #"["[1,5)","(,5]","empty"]"#)])
        case .array(let type): (["array", "string"], [("items", items(type))])
        case .enumeration: (["string"], [])
        case .other: (["string", "number", "boolean"], [])
        }
    }

    private static func bounds(_ minimum: String, _ maximum: String) -> Members {
        [("minimum", minimum), ("maximum", maximum)]
    }

    private static func bounds(_ limits: NumericLimits) -> Members {
        let exponent = limits.precision - limits.scale
        return [("exclusiveMinimum", "-1e\(exponent)"), ("exclusiveMaximum", "1e\(exponent)")]
    }

    private static func pattern(_ expression: String) -> (name: String, json: String) {
        ("pattern", string(expression))
    }

    /// Digits beyond those that the column keeps are zeros.
    private static func time(_ digits: Int) -> String {
        "[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,\(max(digits, 1))}0*)?)?"
    }

    /// Elements, or arrays of them for more dimensions.
    private static func items(_ type: ArrayType) -> String {
        let element = object(schema(of: type.element, isNullable: type.hasNullableElements))
        switch type.element {
        case .json, .jsonb: return element
        default: return #"{"anyOf":[\#(element),{"type":"array"}]}"#
        }
    }
}
