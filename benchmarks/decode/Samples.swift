import WeirRecord

/// The records that are decoded, and the tables that they are decoded for.
enum Samples {
    /// The request of `loads/insert.lua`: 95 bytes.
    static let small = Array(
        """
        {"id":1000000001,"customer_id":123,"qty":5,"note":"a note of some forty characters, like this"}
        """.utf8)

    /// An order with its lines as a document: 10 KB.
    static let large: [UInt8] = {
        let note = (0..<40).map { "Line \($0) of a note, with \\\"quotes\\\" and é.\\n" }.joined()
        let lines = (0..<118).map { line in
            #"{"sku":"A-\#(1000 + line)","qty":\#(line % 9),"price":\#(line).99,"tags":["x","y"],"gift":false}"#
        }
        return Array(
            (#"{"id":1000000001,"customer_id":123,"qty":5,"note":"\#(note)","#
                + #""attributes":{"lines":[\#(lines.joined(separator: ","))]}}"#).utf8)
    }()

    /// A record of an issue tracker, as one would send it: 250 bytes.
    static let issue = Array(
        """
        {"id":1000000001,"project":42,"state":"open","priority":3,"title":"a title of some forty \
        characters, as titles go","estimate":12.50,"author":"somebody@example.org","labels":"bug",\
        "opened":"2024-02-29T12:34:56.789Z","closed":null}
        """.utf8)

    static let orders = table([
        ("id", .int8), ("customer_id", .int4), ("qty", .int4), ("note", .text),
        ("attributes", .jsonb),
    ])

    /// `issue` where every column takes whatever its kind of value is.
    static let plain = table([
        ("id", .int8), ("project", .int8), ("state", .text), ("priority", .int8),
        ("title", .text), ("estimate", .numeric(nil)), ("author", .text), ("labels", .text),
        ("opened", .timestamptz(digits: 6)), ("closed", .timestamptz(digits: 6)),
    ])

    /// The same with what a table declares: ranges, lengths, labels, precision, NOT NULL.
    static let declared = table(
        [
            ("id", .int8), ("project", .int4),
            (
                "state",
                .enumeration(
                    EnumType(sqlName: "state", labels: ["draft", "open", "held", "closed"]))
            ),
            ("priority", .int2), ("title", .varchar(lengthMax: 200)),
            ("estimate", .numeric(NumericLimits(precision: 8, scale: 2))),
            ("author", .varchar(lengthMax: 254)), ("labels", .varchar(lengthMax: 100)),
            ("opened", .timestamptz(digits: 3)), ("closed", .timestamptz(digits: 3)),
        ], isRequired: { $0 < 9 })

    private static func table(
        _ columns: [(name: String, type: ColumnType)], isRequired: (Int) -> Bool = { $0 == 0 }
    ) -> TableSchema {
        TableSchema(
            number: 0, name: "t",
            columns: columns.enumerated().map { index, column in
                Column(
                    name: column.name, type: column.type, typeName: column.name,
                    isNullable: !isRequired(index), hasDefault: false)
            }, primaryKey: [0])
    }
}
