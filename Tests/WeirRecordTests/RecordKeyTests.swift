import Testing
import WeirRecord

@Suite struct RecordKeyTests {
    private static let keyed: [WeirRecord.Operation] = [.upsert, .patch, .delete]

    // MARK: Where the key stands

    @Test(arguments: keyed)
    func theKeyStandsInTheBodyOrInThePath(_ operation: WeirRecord.Operation) throws {
        let inBody = try decode(#"{"qty":1,"id":42}"#, operation)
        let inPath = try decode(#"{"qty":1}"#, operation, path: ["42"])
        let inBoth = try decode(#"{"qty":1,"id":42}"#, operation, path: ["42"])
        for record in [inBody, inPath, inBoth] {
            #expect(record.keyText == #"{"id":42}"#)
            #expect(record.fields == inBody.fields)
            #expect(record.orderHash == inBody.orderHash)
            #expect(record.columns == inBody.columns)
        }
    }

    @Test(arguments: [#"{"id":43}"#, #"{"id":43,"qty":1}"#, #"{"qty":1,"id":-42}"#])
    func aBodyThatNamesAnotherKeyIsRefused(_ body: String) {
        #expect(
            defect(body, .upsert, path: ["42"])
                == Defect(
                    .invalidValue, "key column \"id\" is given twice, with different values",
                    column: "id"))
    }

    @Test(arguments: [#""42""#, #"42 "#, #""0042""#, #""\u00342""#])
    func aKeyThatIsWrittenInAnotherWayIsTheSame(_ value: String) throws {
        #expect(try decode("{\"id\":\(value)}", .upsert, path: ["42"]).fields.count == 1)
    }

    @Test(arguments: [#"{"id":42,"id":42}"#, #"{"id":42,"qty":1,"id":42}"#, #"{"qty":1,"qty":1}"#])
    func theBodyStillNamesAColumnOnce(_ body: String) {
        #expect(defect(body, .upsert, path: ["42"])?.code == .invalidJSON)
    }

    @Test func theLinesKeyAndDataMaySayTheSame() throws {
        for keyFirst in [true, false] {
            func record(_ key: String, _ data: String) throws(Defect) -> Record {
                var decoder = RecordDecoder(
                    table: orders, options: WriteOptions(.upsert), expectedByteCount: 0)
                for isKey in keyFirst ? [true, false] : [false, true] {
                    let bytes = Array((isKey ? key : data).utf8)
                    var cursor = JSONCursor(0..<bytes.count)
                    try decoder.takeObject(&cursor, bytes.span, isKey: isKey)
                }
                return try decoder.finish()
            }
            #expect(try record(#"{"id":1}"#, #"{"qty":2}"#).fields.count == 2)
            #expect(try record(#"{"id":1}"#, #"{"id":1,"qty":2}"#).fields.count == 2)
            #expect(throws: Defect.self) { try record(#"{"id":1}"#, #"{"id":2,"qty":2}"#) }
            #expect(throws: Defect.self) { try record(#"{"id":1,"id":1}"#, #"{"qty":2}"#) }
            #expect(throws: Defect.self) { try record(#"{"qty":1}"#, #"{"id":2}"#) }
            #expect(throws: Defect.self) { try record("{}", #"{"qty":2}"#) }
        }
    }

    @Test(arguments: keyed)
    func whatIsNoInsertNeedsAKey(_ operation: WeirRecord.Operation) {
        #expect(
            defect(#"{"qty":1}"#, operation) == Defect(.missingKey, "the key \"id\" is missing"))
        #expect(
            defect(#"{"order":"a"}"#, operation, in: lines)
                == Defect(.missingKey, "the key \"order\", \"line\" is missing"))
        let keyless = TableSchema(
            number: 0, name: "log", columns: [column("x", .int4)], primaryKey: [])
        #expect(
            defect(#"{"x":1}"#, operation, in: keyless)?.detail
                == "this table has no primary key, so rows can only be inserted")
        #expect(
            defect("{}", operation, in: keyless, path: ["1"])?.detail
                == "this table has no primary key")
    }

    @Test func aKeyIsNeverNull() {
        #expect(defect(#"{"id":null}"#, .upsert)?.code == .notNullViolation)
    }

    @Test(arguments: [["1"], ["a", "1", "2"], []])
    func aPathHasOnePartForEachKeyColumn(_ path: [String]) {
        #expect(
            defect("{}", .upsert, in: lines, path: path)
                == Defect(
                    .missingKey, "the key of this table is order,line: 2 parts, not \(path.count)"))
    }

    @Test(arguments: [
        "", "abc", "1.0", "1e3", "9223372036854775808", "+1", " 1", "1,2", "%31", "'; --",
    ])
    func aPathThatIsNoKeyIsRefused(_ part: String) {
        let found = defect("{}", .upsert, path: [part])
        #expect(found?.code == .invalidValue)
        #expect(found?.column == "id")
    }

    // MARK: Spellings

    /// What PostgreSQL holds equal is one key: its records must keep their order.
    @Test(
        arguments: [
            (.numeric(nil), ["1", "1.0", "1.000", "01", "10e-1", "+1"]),
            (.numeric(nil), ["0", "-0", "0.00", "0e9"]),
            (.numeric(nil), ["120", "1.2e2", "120.0"]),
            (.numeric(nil), ["0.00001", "1e-5", "0.0000100"]),
            (.numeric(NumericLimits(precision: 6, scale: 2)), ["1", "1.0", "1.00", "1.000"]),
            (.float8, ["0", "-0", "0.0", "-0e5"]), (.float4, ["1", "1.0", "1e0"]),
            (.float8, ["nan", "NaN"]), (.character(lengthMax: 4), ["ab", "ab ", "ab       "]),
            (.character(lengthMax: nil), ["ab", "ab ", "ab       "]),
            (.varchar(lengthMax: 3), ["abc", "abc ", "abc   "]),
            (
                .uuid,
                ["01890A5D-AC96-774B-BCCE-B302099A8057", "01890a5dac96774bbcceb302099a8057"]
            ),
            (
                .timestamptz(digits: 6),
                ["2024-01-01T12:00:00Z", "2024-01-01 14:00+02", "2024-01-01t00:00:00.000-1200"]
            ),
            (.timestamp(digits: 6), ["2024-01-01T12:00", "2024-01-01 12:00:00.000"]),
            (.interval(digits: 6), ["1 day", "24:00:00", "P1D", "PT24H", "2 days -24:00"]),
            (.interval(digits: 6), ["1 mon", "30 days", "P1M", "720:00"]),
            (.interval(digits: 6), ["-1 mon", "-30 days", "P-1M", "-720:00"]),
            (.inet, ["10.0.0.1", "10.0.0.1/32"]), (.inet, ["::1", "0:0:0:0:0:0:0:1", "::0001"]),
            (.cidr, ["2001:db8::/32", "2001:DB8:0::/32"]), (.bytea, ["\\xff", "\\xFF", "_w"]),
            (.boolean, ["t", "true", "1"]), (.int4, ["7", "007"]),
        ] as [(ColumnType, [String])])
    func equalKeysHashAlike(_ type: ColumnType, spellings: [String]) throws {
        let table = TableSchema(
            number: 0, name: "t", columns: [column("k", type, nullable: false)], primaryKey: [0])
        let pair = TableSchema(
            number: 0, name: "t",
            columns: [column("k", type, nullable: false), column("i", .int4, nullable: false)],
            primaryKey: [0, 1])
        var hashes: Set<UInt64?> = []
        var keys: Set<String> = []
        for spelling in spellings {
            let record = try decode("{}", .delete, into: table, path: [spelling])
            hashes.insert(record.orderHash)
            keys.insert(record.keyText)
            hashes.insert(try decode("{}", .delete, into: pair, path: [spelling, "1"]).orderHash)
        }
        // One for each table.
        #expect(hashes.count == 2)
        #expect(keys.count == 1)
        #expect(type.isExact)
    }

    @Test func otherKeysHashOtherwise() throws {
        let columns = [column("k", .numeric(nil), nullable: false)]
        let table = TableSchema(number: 0, name: "t", columns: columns, primaryKey: [0])
        let hashes = try ["1", "10", "0.1", "-1", "1.01", "10000", "NaN", "0"].map {
            try decode("{}", .delete, into: table, path: [$0]).orderHash
        }
        #expect(Set(hashes).count == hashes.count)
    }

    @Test func aKeyMayBeSaidAgainInAnotherSpelling() throws {
        let columns = [column("k", .numeric(nil), nullable: false), column("v", .text)]
        let table = TableSchema(number: 0, name: "t", columns: columns, primaryKey: [0])
        #expect(defect(#"{"k":1.50,"v":"x"}"#, .upsert, in: table, path: ["1.5"]) == nil)
        #expect(defect(#"{"k":1.51}"#, .upsert, in: table, path: ["1.5"])?.code == .invalidValue)
    }

    // MARK: Key JSON

    @Test(arguments: [
        ("42", "42"), ("-42", "-42"), ("0", "0"), ("007", "7"), ("-007", "-7"), ("000", "0"),
        ("-0", "0"), ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
    ])
    func anIntegerKeyIsAnsweredAsAnInteger(_ part: String, json: String) throws {
        let record = try decode("{}", .delete, path: [part])
        #expect(record.keyText == "{\"id\":\(json)}")
        #expect(syntaxDefect(record.keyText) == nil)
    }

    @Test(arguments: [
        (ColumnType.text, "a\"b\\é\n", #""a\"b\\é\n""#), (.text, "", #""""#),
        (.text, "null", #""null""#),
        (.uuid, "01890A5DAC96774BBCCEB302099A8057", #""01890a5d-ac96-774b-bcce-b302099a8057""#),
        (.bytea, "\\x00fF", #""\\x00ff""#), (.bytea, "", #""\\x""#), (.bytea, "Zm8", #""\\x666f""#),
        (.boolean, "t", "true"), (.boolean, "0", "false"), (.int2, "-32768", "-32768"),
        (.int4, "-2147483648", "-2147483648"), (.float4, "0.1", "0.1"), (.float8, ".5", "0.5"),
        (.float8, "1E300", "1e+300"), (.float8, "-5e-324", "-5e-324"), (.jsonb, " [1]", "[1]"),
        (.json, "{\"a\": 1}", "{\"a\": 1}"),
        (.other(sqlName: "date"), "2026-01-02", #""2026-01-02""#),
        (.other(sqlName: "numeric"), "1.50", #""1.50""#),
    ])
    func aKeyOfAnyTypeIsAnsweredAsJSON(_ type: ColumnType, part: String, json: String) throws {
        let table = TableSchema(
            number: 0, name: "t", columns: [column("k", type, nullable: false)], primaryKey: [0])
        let record = try decode("{}", .delete, into: table, path: [part])
        #expect(record.keyText == "{\"k\":\(json)}")
        #expect(syntaxDefect(record.keyText) == nil)
    }

    @Test(arguments: [("NaN", "NaN"), ("inf", "Infinity"), ("-Infinity", "-Infinity")])
    func aKeyThatIsNotFiniteIsAnsweredInPostgreSQLsWords(_ part: String, word: String) throws {
        for type in [ColumnType.float4, .float8] {
            let table = TableSchema(
                number: 0, name: "t", columns: [column("k", type, nullable: false)], primaryKey: [0]
            )
            let record = try decode("{}", .delete, into: table, path: [part])
            #expect(record.keyText == "{\"k\":\"\(word)\"}")
        }
    }

    @Test func aCompositeKeyIsAnsweredInKeyOrder() throws {
        let expected = #"{"order":"a,b","line":2}"#
        let inBody = try decode(#"{"line":2,"qty":1,"order":"a,b"}"#, .upsert, into: lines)
        let inPath = try decode(#"{"qty":1}"#, .upsert, into: lines, path: ["a,b", "2"])
        #expect(inBody.keyText == expected)
        #expect(inPath.keyText == expected)
        #expect(inBody.orderHash == inPath.orderHash)
        #expect(inBody.fields == inPath.fields)
    }

    @Test func anInsertWithAPartOfItsKeyHasNone() throws {
        let record = try decode(#"{"order":"a"}"#, into: lines)
        #expect(!record.hasKey)
        #expect(record.orderHash == nil)
        #expect(record.fields.count == 1)
    }

    // MARK: Order

    @Test func theOrderHashIsThatOfTheKeyAlone() throws {
        let first = try decode(#"{"id":1,"qty":1}"#)
        let same = try decode(#"{"note":"x","id":1}"#, .upsert)
        let other = try decode(#"{"id":2,"qty":1}"#)
        #expect(first.orderHash == same.orderHash)
        #expect(first.orderHash != other.orderHash)
        let twin = TableSchema(
            number: orders.number + 1, name: "twin", columns: orders.columns, primaryKey: [0])
        #expect(try decode(#"{"id":1}"#, into: twin).orderHash != first.orderHash)
    }

    @Test func orderHashesOfNeighboursDiffer() throws {
        var hashes: Set<UInt64> = []
        for id in 0..<5_000 {
            let hash = try decode("{\"id\":\(id)}").orderHash
            hashes.insert(try #require(hash))
        }
        #expect(hashes.count == 5_000)
        // The scheduler takes the low bits for the lane.
        #expect(Set(hashes.map { $0 & 1_023 }).count > 1_000)
    }

    @Test func partsOfACompositeKeyDoNotRunTogether() throws {
        let pair = TableSchema(
            number: 0, name: "pair",
            columns: [column("a", .text, nullable: false), column("b", .text, nullable: false)],
            primaryKey: [0, 1])
        let keys = [["ab", "c"], ["a", "bc"], ["", "abc"], ["abc", ""]]
        let hashes = try keys.map { try decode("{}", .delete, into: pair, path: $0).orderHash }
        #expect(Set(hashes).count == keys.count)
    }

    @Test func recordsAreOrderedByTheBytesOfTheirKeys() throws {
        let table = TableSchema(
            number: 0, name: "t", columns: [column("k", .text, nullable: false)], primaryKey: [0])
        // Some differ within eight bytes, some behind them, some in their lengths alone.
        let keys = [
            "", "a", "aa", "b", "prefix-1", "prefix-1-a", "prefix-1-b", "prefix-1-ba", "prefix-2",
            "ÿ", "𝄞",
        ]
        let records = try keys.map { try decode("{}", .delete, into: table, path: [$0]) }
        for (left, leftKey) in zip(records, keys) {
            for (right, rightKey) in zip(records, keys) {
                #expect(
                    Record.isOrderedBefore(left, right)
                        == leftKey.utf8.lexicographicallyPrecedes(rightKey.utf8))
            }
        }
    }

    @Test func theOrderIsTotal() throws {
        let records = try ["-2", "-1", "0", "1", "256", "9223372036854775807"].map {
            try decode("{}", .delete, path: [$0])
        }
        for (leftAt, left) in records.enumerated() {
            for (rightAt, right) in records.enumerated() {
                let either =
                    Record.isOrderedBefore(left, right) != Record.isOrderedBefore(right, left)
                #expect(either == (leftAt != rightAt))
            }
        }
        let sorted = records.sorted(by: Record.isOrderedBefore)
        #expect(
            sorted.map(\.keyText)
                == records.reversed().sorted(by: Record.isOrderedBefore).map(\.keyText))
    }
}
