import Testing
import WeirRecord

/// Objects of which only some members are looked at, or changed.
@Suite struct JSONMembersTests {
    private func members(_ text: String) throws -> JSONMembers {
        try JSONMembers(Array(text.utf8))
    }

    private func text(_ members: JSONMembers) -> String {
        String(decoding: members.bytes, as: UTF8.self)
    }

    @Test func valuesStayAsTheyWereWritten() throws {
        let object = try members(#" { "a" : 1.50 , "b":{"x":[1, 2]},"\u0063":"\u00e4" } "#)
        #expect(object.all.map(\.name) == ["a", "b", "c"])
        #expect(text(object) == #"{"a":1.50,"b":{"x":[1, 2]},"c":"\u00e4"}"#)
        #expect(text(try members("{}")) == "{}")
    }

    @Test func oneMemberIsChangedAndTheOthersKeepTheirPlace() throws {
        var object = try members(#"{"a":1,"b":2,"c":3}"#)
        object["b"] = Array("null".utf8)
        object["a"] = nil
        object["d"] = Array(#""x""#.utf8)
        object["none"] = nil
        #expect(text(object) == #"{"b":null,"c":3,"d":"x"}"#)
    }

    @Test(arguments: [
        "", "[]", "{", #"{"a":1,}"#, #"{"a":1}x"#, #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#,
        #"{a:1}"#, "{\"a\":\"\u{01}\"}",
    ]) func whatIsNoObjectIsRefused(_ text: String) {
        #expect(throws: Defect.self) { try members(text) }
    }

    @Test func membersHaveABound() {
        let many = (0...JSONMembers.countMax).map { "\"\($0)\":0" }.joined(separator: ",")
        #expect(throws: Defect.self) { try members("{\(many)}") }
    }

    @Test func scalarsAreReadForWhatTheyAre() throws {
        func value(_ text: String) -> [UInt8] { Array(text.utf8) }
        #expect(try JSONScalar.text(value(#""a\n""#)) == "a\n")
        #expect(try JSONScalar.text(value("1")) == nil)
        #expect(JSONScalar.integer(value("-7")) == -7)
        #expect(JSONScalar.integer(value("7.0")) == nil)
        #expect(JSONScalar.boolean(value("true")) == true)
        #expect(JSONScalar.boolean(value("1")) == nil)
        #expect(JSONScalar.isNull(value("null")))
        let elements = try JSONScalar.elements(value(#"[1, "x" ,[2]]"#))
        #expect(elements?.map { String(decoding: $0, as: UTF8.self) } == ["1", #""x""#, "[2]"])
        #expect(try JSONScalar.elements(value("{}")) == nil)
    }

    @Test func aTimeIsReadAsMicroseconds() {
        #expect(Timestamptz.microseconds("1970-01-01T00:00:00Z") == 0)
        #expect(
            Timestamptz.microseconds("2026-03-01T13:34:56.789+01:00") == 1_772_368_496_789_000)
        for text in ["", "2026-03-01", "2026-03-01T12:34:56", "infinity", "-infinity", "x"] {
            #expect(Timestamptz.microseconds(text) == nil, "\(text)")
        }
    }
}
