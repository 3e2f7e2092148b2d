/// The members of a JSON object, each value as it was written: for objects of which only some
/// members are looked at, or changed.
package struct JSONMembers: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var name: String
        /// The value's own bytes.
        package var value: [UInt8]
    }

    /// In the order in which they stand.
    package private(set) var all: [Member] = []

    /// Members beyond this are refused: a table has at most 1,600 columns.
    package static let countMax = 2_000

    package init() {}

    /// - Throws: `invalid-json`, also where a name stands twice.
    package init(_ bytes: [UInt8]) throws(Defect) {
        let input = bytes.span
        var cursor = JSONCursor(0..<bytes.count)
        var names: Set<String> = []
        try cursor.expect(UInt8(ascii: "{"), input)
        var hasMember = !cursor.take(UInt8(ascii: "}"), input)
        while hasMember {
            cursor.skipWhitespace(input)
            let token = try cursor.string(input)
            let name = try cursor.text(of: token, input)
            try cursor.expect(UInt8(ascii: ":"), input)
            let range = try cursor.skipValue(input, depthMax: JSONCursor.memberDepthMax)
            guard names.insert(name).inserted else {
                throw Defect(.invalidJSON, "\"\(name.prefix(80))\" stands twice")
            }
            guard names.count <= Self.countMax else {
                throw Defect(.invalidJSON, "an object has more than \(Self.countMax) members")
            }
            all.append(Member(name: name, value: Array(bytes[range])))
            hasMember = cursor.take(UInt8(ascii: ","), input)
            if !hasMember { try cursor.expect(UInt8(ascii: "}"), input) }
        }
        try cursor.expectEnd(input)
    }

    /// The bytes of a member's value. Setting `nil` takes the member out; a new one comes last.
    package subscript(name: String) -> [UInt8]? {
        get { all.first { $0.name == name }?.value }
        set {
            let place = all.firstIndex { $0.name == name }
            switch (place, newValue) {
            case (let place?, let value?): all[place].value = value
            case (let place?, nil): all.remove(at: place)
            case (nil, let value?): all.append(Member(name: name, value: value))
            case (nil, nil): break
            }
        }
    }

    package func append(to json: inout [UInt8]) {
        json.append(UInt8(ascii: "{"))
        for (index, member) in all.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            appendJSONString(member.name, to: &json)
            json.append(UInt8(ascii: ":"))
            json += member.value
        }
        json.append(UInt8(ascii: "}"))
    }

    package var bytes: [UInt8] {
        var json: [UInt8] = []
        append(to: &json)
        return json
    }
}

/// One JSON value, read for what it is.
package enum JSONScalar {
    /// The text of a string; `nil` where the value is something else.
    package static func text(_ value: [UInt8]) throws(Defect) -> String? {
        guard value.first == UInt8(ascii: "\"") else { return nil }
        var cursor = JSONCursor(0..<value.count)
        return try cursor.text(value.span)
    }

    /// A whole number; `nil` where the value is something else.
    package static func integer(_ value: [UInt8]) -> Int64? {
        Int64(String(decoding: value, as: UTF8.self))
    }

    package static func isNull(_ value: [UInt8]) -> Bool { value.elementsEqual("null".utf8) }

    package static func boolean(_ value: [UInt8]) -> Bool? {
        switch String(decoding: value, as: UTF8.self) {
        case "true": true
        case "false": false
        default: nil
        }
    }

    /// The elements of an array, each as it was written; `nil` where the value is something else.
    package static func elements(_ value: [UInt8]) throws(Defect) -> [[UInt8]]? {
        let input = value.span
        var cursor = JSONCursor(0..<value.count)
        guard cursor.take(UInt8(ascii: "["), input) else { return nil }
        var elements: [[UInt8]] = []
        guard !cursor.take(UInt8(ascii: "]"), input) else { return elements }
        repeat {
            elements.append(Array(value[try cursor.skipValue(input)]))
        } while cursor.take(UInt8(ascii: ","), input)
        try cursor.expect(UInt8(ascii: "]"), input)
        return elements
    }
}

extension Array where Element == UInt8 {
    /// Appends `"name":"value"` behind what stands there; nothing where there is no value.
    package mutating func appendMember(_ name: StaticString, _ value: String?) {
        guard let value else { return }
        appendName(name)
        appendJSONString(value, to: &self)
    }

    package mutating func appendMember(_ name: StaticString, _ value: (some BinaryInteger)?) {
        guard let value else { return }
        appendName(name)
        self += "\(value)".utf8
    }

    package mutating func appendMember(_ name: StaticString, _ value: Bool) {
        appendName(name)
        self += (value ? "true" : "false").utf8
    }

    /// The value is JSON itself.
    package mutating func appendMember(_ name: StaticString, json value: [UInt8]?) {
        guard let value else { return }
        appendName(name)
        self += value
    }

    private mutating func appendName(_ name: StaticString) {
        if last != UInt8(ascii: "{") { append(UInt8(ascii: ",")) }
        self += "\"\(name)\":".utf8
    }
}
