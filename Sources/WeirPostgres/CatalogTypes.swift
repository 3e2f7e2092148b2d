import WeirRecord

/// What a column's type, as the catalog describes it, means for its values. The columns of the row
/// are those of `CatalogQuery`.
struct CatalogTypes {
    /// By the enum's OID.
    let labels: [String: [String]]

    /// One type, behind its domains.
    private struct Name {
        var schema: String
        var name: String
        /// `typtype`: e is an enum, r a range.
        var kind: String
        var oid: String
        /// -1 where there is none.
        var modifier: Int

        var sqlName: String { quotedIdentifier(schema) + "." + quotedIdentifier(name) }
    }

    /// The OIDs of the enums among the columns' types and their elements.
    static func enums(_ columns: [[String?]]) -> Set<String> {
        var found: Set<String> = []
        for row in columns {
            if row[16] == "e", let oid = row[15] { found.insert(oid) }
            if row[21] == "e", let oid = row[18] { found.insert(oid) }
        }
        return found
    }

    func type(_ row: [String?]) -> ColumnType {
        let base = Name(
            schema: row[2] ?? "", name: row[3] ?? "", kind: row[16] ?? "", oid: row[15] ?? "",
            modifier: row[17].flatMap(Int.init) ?? -1)
        let subtype = row[25].map { schema in
            Name(
                schema: schema, name: row[26] ?? "", kind: row[27] ?? "", oid: "",
                modifier: row[28].flatMap(Int.init) ?? -1)
        }
        guard let elementOID = row[18] else { return type(base, subtype) }
        // The array's modifier is that of its elements; those of a domain bring their own.
        let element = Name(
            schema: row[19] ?? "", name: row[20] ?? "", kind: row[21] ?? "", oid: elementOID,
            modifier: max(base.modifier, row[22].flatMap(Int.init) ?? -1))
        let elementType = type(element, subtype)
        switch elementType {
        // Of a type whose elements are not parted by commas, or arrays themselves, behind a domain.
        case _ where row[24] != "," || element.name.hasPrefix("_"):
            return .other(sqlName: base.sqlName)
        default:
            return .array(
                ArrayType(
                    sqlName: base.sqlName, element: elementType,
                    hasNullableElements: row[23] != "t"))
        }
    }

    private func type(_ name: Name, _ subtype: Name?) -> ColumnType {
        if name.kind == "e" {
            return .enumeration(EnumType(sqlName: name.sqlName, labels: labels[name.oid] ?? []))
        }
        if name.kind == "r", let subtype {
            let element = type(subtype, nil)
            // Bounds of a type without an encoder are left to the server, range and all.
            if case .other = element { return .other(sqlName: name.sqlName) }
            return .range(
                RangeType(
                    sqlName: name.sqlName, subtype: element,
                    isBuiltIn: name.schema == "pg_catalog"))
        }
        guard name.schema == "pg_catalog" else { return .other(sqlName: name.sqlName) }
        return Self.plain[name.name] ?? bounded(name) ?? .other(sqlName: name.sqlName)
    }

    private static let plain: [String: ColumnType] = [
        "bool": .boolean, "int2": .int2, "int4": .int4, "int8": .int8, "float4": .float4,
        "float8": .float8, "text": .text, "uuid": .uuid, "bytea": .bytea, "json": .json,
        "jsonb": .jsonb, "date": .date, "inet": .inet, "cidr": .cidr,
    ]

    /// Types that a modifier may bound; its meaning is that of each type's `typmodin` function.
    private func bounded(_ name: Name) -> ColumnType? {
        let modifier = name.modifier
        let length = modifier >= 4 ? modifier - 4 : nil
        let digits = modifier >= 0 ? min(modifier, 6) : 6
        switch name.name {
        case "varchar": return length.map { .varchar(lengthMax: $0) } ?? .text
        case "bpchar": return .character(lengthMax: length)
        case "numeric":
            guard let length else { return .numeric(nil) }
            // Eleven bits with a sign.
            let scale = ((length & 0x7FF) ^ 1024) - 1024
            return .numeric(NumericLimits(precision: length >> 16 & 0xFFFF, scale: scale))
        case "time": return .time(digits: digits)
        case "timetz": return .timetz(digits: digits)
        case "timestamp": return .timestamp(digits: digits)
        case "timestamptz": return .timestamptz(digits: digits)
        case "interval":
            guard modifier >= 0 else { return .interval(digits: 6) }
            // `interval hour to minute` cuts fields off: that is between the table and its server.
            guard modifier >> 16 & 0x7FFF == 0x7FFF else { return nil }
            return .interval(digits: min(modifier & 0xFFFF, 6))
        default: return nil
        }
    }

    /// The JSON of a default that is a constant: `1`, `true`, `'abc'::text`.
    static func constant(_ expression: String) -> String? {
        if expression == "true" || expression == "false" { return expression }
        if let number = Int64(expression) { return String(number) }
        guard expression.first == "'", let end = expression.dropFirst().firstIndex(of: "'"),
            expression[end...].hasPrefix("'::"),
            expression[end...].allSatisfy({ $0 != "(" && $0 != "|" && $0 != "+" })
        else { return nil }
        let text = expression[expression.index(after: expression.startIndex)..<end]
        let type = expression[end...].dropFirst(3)
        let isText =
            type == "text" || type == "character varying" || type == "bpchar"
            || type.hasPrefix("character varying(") || type.hasPrefix("character(")
        guard isText, !text.contains("\\") else { return nil }
        var json: [UInt8] = []
        appendJSONString(text, to: &json)
        return String(decoding: json, as: UTF8.self)
    }
}
