import Testing
import WeirRecord

/// What callers and PostgreSQL know by name or number.
@Suite struct ContractTests {
    private static let published: [Int: [String]] = [
        400: ["invalid-json", "invalid-request", "invalid-message-id", "invalid-preference"],
        403: ["forbidden-table"],
        404: ["unknown-table", "record-not-found", "not-found"],
        405: ["method-not-allowed"], 408: ["request-timeout"], 413: ["body-too-large"],
        414: ["uri-too-long"], 415: ["unsupported-media-type"], 431: ["headers-too-large"],
        409: ["unique-violation", "foreign-key-violation", "exclusion-violation"],
        422: [
            "check-violation", "not-null-violation", "invalid-value", "unknown-column",
            "missing-key",
            "message-id-reused", "trigger-exception", "dead-lettered",
        ],
        424: ["rolled-back"],
        503: [
            "overloaded", "database-unavailable", "retries-exhausted", "draining", "table-paused",
            "order-blocked",
        ],
        504: ["deadline-exceeded", "outcome-unknown"],
    ]

    @Test func everyCodeHasItsPublishedStatus() {
        var statuses: [String: Int] = [:]
        for (status, codes) in Self.published {
            for code in codes { statuses[code] = status }
        }
        #expect(
            Dictionary(uniqueKeysWithValues: ProblemCode.allCases.map { ($0.rawValue, $0.status) })
                == statuses)
    }

    @Test(arguments: ProblemCode.allCases)
    func aCodeIsRetryableWhereTheTableSaysSo(_ code: ProblemCode) {
        #expect(code.isRetryable == [503, 504].contains(code.status))
    }

    @Test func everyCodeHasATitleOfItsOwn() {
        #expect(Set(ProblemCode.allCases.map(\.title)).count == ProblemCode.allCases.count)
    }

    /// `pg_type.dat` of PostgreSQL: element, array.
    @Test(
        arguments: [
            (ColumnType.boolean, 16, 1000), (.int2, 21, 1005), (.int4, 23, 1007), (.int8, 20, 1016),
            (.float4, 700, 1021), (.float8, 701, 1022), (.text, 25, 1009), (.uuid, 2950, 2951),
            (.bytea, 17, 1001), (.json, 114, 199), (.jsonb, 3802, 3807),
            (.other(sqlName: "x"), 25, 1009),
        ] as [(ColumnType, UInt32, UInt32)])
    func typesHavePostgreSQLsNumbers(_ type: ColumnType, element: UInt32, array: UInt32) {
        #expect(type.elementOID == element)
        #expect(type.arrayOID == array)
    }

    @Test(arguments: [
        ("orders", #""orders""#), ("", #""""#), ("a\"b", #""a""b""#), ("\"", #""""""#),
        ("a.b", #""a.b""#),
        ("x\"; DROP TABLE y; --", #""x""; DROP TABLE y; --""#), ("é\\", #""é\""#),
    ])
    func identifiersAreQuoted(_ name: String, quoted: String) {
        #expect(quotedIdentifier(name) == quoted)
    }

    @Test func aTableIsNamedWithItsSchemaUnlessThatIsPublic() {
        #expect(orders.publicName == "orders")
        #expect(orders.sqlName == #""public"."orders""#)
        #expect(lines.publicName == "shop.lines")
        #expect(lines.sqlName == #""shop"."lines""#)
    }

    @Test func aChangedDefinitionIsSeen() {
        func table(
            version: Int = 0, type: ColumnType = .int4, key: [Int] = [0], rank: Int = 0,
            mayDropRows: Bool = false, isPartitioned: Bool = false, name: String = "t"
        ) -> TableSchema {
            TableSchema(
                number: 0, version: version, name: name, columns: [column("a", type)],
                primaryKey: key,
                rank: rank, mayDropRows: mayDropRows, isPartitioned: isPartitioned)
        }
        let before = table()
        #expect(before.hasSameDefinition(as: table(version: 1)))
        for after in [
            table(type: .int8), table(key: []), table(rank: 1), table(mayDropRows: true),
            table(isPartitioned: true), table(name: "u"),
        ] {
            #expect(!before.hasSameDefinition(as: after))
        }
    }
}
