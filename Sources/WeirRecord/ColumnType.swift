/// How a column's values travel to PostgreSQL: as a typed binary array where there is an encoder
/// here, else as a text array whose elements the server casts.
package enum ColumnType: Hashable, Sendable {
    case boolean
    case int2
    case int4
    case int8
    case float4
    case float8
    /// text, varchar(n) and char(n): the server applies the length on assignment.
    case text
    case uuid
    case bytea
    case json
    case jsonb
    /// Any other type, by its input function. The name is quoted and qualified, without a length.
    case other(sqlName: String)

    /// The array type's OID, from pg_type.dat; OIDs below 10,000 are fixed for good.
    package var arrayOID: UInt32 {
        switch self {
        case .boolean: 1000
        case .int2: 1005
        case .int4: 1007
        case .int8: 1016
        case .float4: 1021
        case .float8: 1022
        case .uuid: 2951
        case .bytea: 1001
        case .json: 199
        case .jsonb: 3807
        case .text, .other: 1009
        }
    }

    /// The element type's OID, as it stands in the header of a binary array.
    package var elementOID: UInt32 {
        switch self {
        case .boolean: 16
        case .int2: 21
        case .int4: 23
        case .int8: 20
        case .float4: 700
        case .float8: 701
        case .uuid: 2950
        case .bytea: 17
        case .json: 114
        case .jsonb: 3802
        case .text, .other: 25
        }
    }

    /// Whether a value is stored as it is sent: a number with a scale, say, is rounded first.
    package var isExact: Bool {
        switch self {
        case .boolean, .int2, .int4, .int8, .uuid, .bytea, .text: true
        case .float4, .float8, .json, .jsonb, .other: false
        }
    }

    /// What a JSON value for this type looks like, for error messages.
    package var jsonForm: String {
        switch self {
        case .boolean: "true or false"
        case .int2, .int4, .int8: "an integer"
        case .float4, .float8: "a number"
        case .text: "a string"
        case .uuid: "a string with 32 hexadecimal digits"
        case .bytea: "a string, \\x and hexadecimal digits or base64url"
        case .json, .jsonb: "any JSON value"
        case .other: "a string in PostgreSQL's text form, a number or a boolean"
        }
    }
}
