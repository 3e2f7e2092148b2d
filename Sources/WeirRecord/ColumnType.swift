/// What a column's values mean: how each travels to PostgreSQL, as a typed binary array where there
/// is an encoder here, else as a text array whose elements the server casts.
package enum ColumnType: Hashable, Sendable {
    case boolean
    case int2
    case int4
    case int8
    case float4
    case float8
    /// With the limits of `numeric(p,s)`, where it has some.
    case numeric(NumericLimits?)
    /// text, and varchar without a length.
    case text
    /// varchar(n): at most so many Unicode scalars.
    case varchar(lengthMax: Int)
    /// char(n): at most so many Unicode scalars; trailing spaces say nothing.
    case character(lengthMax: Int?)
    case uuid
    case bytea
    case json
    case jsonb
    case date
    /// Each with the number of digits that it keeps of a second, at most six.
    case time(digits: Int)
    case timetz(digits: Int)
    case timestamp(digits: Int)
    case timestamptz(digits: Int)
    case interval(digits: Int)
    case inet
    case cidr
    case enumeration(EnumType)
    case range(RangeType)
    case array(ArrayType)
    /// Any other type, by its input function. The name is quoted and qualified, without a length.
    case other(sqlName: String)
}

/// The precision and scale of `numeric(p,s)`.
package struct NumericLimits: Hashable, Sendable {
    /// Decimal digits in all.
    package var precision: Int
    /// Those of them behind the point; negative: the last places before it are zero.
    package var scale: Int

    package init(precision: Int, scale: Int) {
        self.precision = precision
        self.scale = scale
    }
}

/// An enum with its labels, in the order in which they sort.
package final class EnumType: Hashable, Sendable {
    package let sqlName: String
    package let labels: [String]
    private let lookup: ColumnLookup

    package init(sqlName: String, labels: [String]) {
        self.sqlName = sqlName
        self.labels = labels
        lookup = ColumnLookup(labels.map { Array($0.utf8) })
    }

    func contains(_ input: Span<UInt8>, _ range: Range<Int>) -> Bool {
        lookup.find(input, range, guess: 0) != nil
    }

    package static func == (left: EnumType, right: EnumType) -> Bool {
        left === right || (left.sqlName == right.sqlName && left.labels == right.labels)
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(sqlName) }
}

package final class RangeType: Hashable, Sendable {
    package let sqlName: String
    package let subtype: ColumnType
    /// One of PostgreSQL's own, whose order and canonical form are known here.
    package let isBuiltIn: Bool

    package init(sqlName: String, subtype: ColumnType, isBuiltIn: Bool) {
        self.sqlName = sqlName
        self.subtype = subtype
        self.isBuiltIn = isBuiltIn
    }

    package static func == (left: RangeType, right: RangeType) -> Bool {
        left.sqlName == right.sqlName && left.subtype == right.subtype
            && left.isBuiltIn == right.isBuiltIn
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(sqlName) }
}

package final class ArrayType: Hashable, Sendable {
    package let sqlName: String
    package let element: ColumnType
    /// False where the elements are of a domain that is NOT NULL.
    package let hasNullableElements: Bool

    package init(sqlName: String, element: ColumnType, hasNullableElements: Bool = true) {
        self.sqlName = sqlName
        self.element = element
        self.hasNullableElements = hasNullableElements
    }

    package static func == (left: ArrayType, right: ArrayType) -> Bool {
        left.sqlName == right.sqlName && left.element == right.element
            && left.hasNullableElements == right.hasNullableElements
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(sqlName) }
}

extension ColumnType {
    /// The type in which values travel: its OID, that of its array, and its name in pg_catalog.
    /// From pg_type.dat; OIDs below 10,000 are fixed for good.
    private var wire: (element: UInt32, array: UInt32, name: String) {
        switch self {
        case .boolean: (16, 1000, "bool")
        case .int2: (21, 1005, "int2")
        case .int4: (23, 1007, "int4")
        case .int8: (20, 1016, "int8")
        case .float4: (700, 1021, "float4")
        case .float8: (701, 1022, "float8")
        case .numeric: (1700, 1231, "numeric")
        case .character: (1042, 1014, "bpchar")
        case .uuid: (2950, 2951, "uuid")
        case .bytea: (17, 1001, "bytea")
        case .json: (114, 199, "json")
        case .jsonb: (3802, 3807, "jsonb")
        case .date: (1082, 1182, "date")
        case .time: (1083, 1183, "time")
        case .timetz: (1266, 1270, "timetz")
        case .timestamp: (1114, 1115, "timestamp")
        case .timestamptz: (1184, 1185, "timestamptz")
        case .interval: (1186, 1187, "interval")
        case .inet: (869, 1041, "inet")
        case .cidr: (650, 651, "cidr")
        case .text, .varchar, .enumeration, .range, .array, .other: (25, 1009, "text")
        }
    }

    package var arrayOID: UInt32 { wire.array }

    /// The element type's OID, as it stands in the header of a binary array.
    package var elementOID: UInt32 { wire.element }

    /// The array in which values travel, as SQL names it.
    package var wireArrayName: String { "pg_catalog.\(wire.name)[]" }

    /// The type to which the server casts a value that travels as text; `nil` where none is needed.
    package var castName: String? {
        switch self {
        case .enumeration(let type): type.sqlName
        case .range(let type): type.sqlName
        case .array(let type): type.sqlName
        case .other(let sqlName): sqlName
        default: nil
        }
    }

    /// Whether values that PostgreSQL holds equal have one form as keys here (`appendKeyForm`),
    /// and a stored value equals the one that was sent.
    package var isExact: Bool {
        switch self {
        case .json, .jsonb, .range, .array, .other: false
        default: true
        }
    }

    /// What a JSON value for this type looks like, for error messages.
    package var jsonForm: String {
        switch self {
        case .boolean: "true or false"
        case .int2, .int4, .int8: "an integer"
        case .float4, .float8, .numeric: "a number"
        case .text, .varchar, .character: "a string"
        case .uuid: "a string with 32 hexadecimal digits"
        case .bytea: "a string, \\x and hexadecimal digits or base64url"
        case .json, .jsonb: "any JSON value"
        case .date: "a string, YYYY-MM-DD"
        case .time: "a string, HH:MM:SS"
        case .timetz: "a string, HH:MM:SS and an offset from UTC"
        case .timestamp: "a string, YYYY-MM-DDTHH:MM:SS without an offset from UTC"
        case .timestamptz: "a string, YYYY-MM-DDTHH:MM:SS and Z or another offset from UTC"
        case .interval: "a string, an ISO 8601 duration or \"1 day 02:00:00\""
        case .inet: "a string, an IP address, with or without /bits"
        case .cidr: "a string, an IP network as 10.0.0.0/8"
        case .enumeration: "a string, one of its labels"
        case .range: "a string, a range as [1,5)"
        case .array: "an array, or a string in PostgreSQL's text form {1,2}"
        case .other: "a string in PostgreSQL's text form, a number or a boolean"
        }
    }
}
