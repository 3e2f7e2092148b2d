/// A TypeID taken apart: `order_01h455vb4pex5vsknk084sn02q` (specification 0.3.0).
package struct TypeIDText: Equatable, Sendable {
    /// Empty for an ID without one.
    package let prefix: String
    package let bits: UUIDBits

    package static let prefixLengthMax = 63

    /// `nil` where the text is no TypeID.
    package init?(_ text: ArraySlice<UInt8>) {
        let digits = text.suffix(UUIDBits.digitCount)
        guard let bits = UUIDBits(digits: digits) else { return nil }
        let rest = text[..<digits.startIndex]
        if rest.isEmpty {
            prefix = ""
        } else {
            // The last underscore divides; without a prefix there is none.
            let name = rest.dropLast()
            guard rest.last == UInt8(ascii: "_"), !name.isEmpty, Self.isPrefix(name) else {
                return nil
            }
            prefix = String(decoding: name, as: UTF8.self)
        }
        self.bits = bits
    }

    /// `[a-z]([a-z_]{0,61}[a-z])?`, or nothing.
    package static func isPrefix(_ name: some BidirectionalCollection<UInt8>) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
        }
        guard let first = name.first, let last = name.last else { return true }
        return name.count <= prefixLengthMax && isLetter(first) && isLetter(last)
            && name.allSatisfy { isLetter($0) || $0 == UInt8(ascii: "_") }
    }
}
