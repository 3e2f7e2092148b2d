/// inet and cidr: from the text of an address, with or without `/bits`, to the binary form of
/// `network_recv` and back. Each address has one binary form, however it is spelt.
enum NetworkForm {
    static func encode(
        _ input: Span<UInt8>, _ range: Range<Int>, isNetwork: Bool, to bytes: inout [UInt8]
    ) throws(ValueFault) {
        var addressEnd = range.lowerBound
        while addressEnd < range.upperBound && input[addressEnd] != UInt8(ascii: "/") {
            addressEnd += 1
        }
        let text = range.lowerBound..<addressEnd
        let isSix = hasColon(input, text)
        let address = isSix ? try six(input, text) : try four(input, text)
        let bitsMax = address.count * 8
        var bits = bitsMax
        if addressEnd < range.upperBound {
            var scanner = TextScanner((addressEnd + 1)..<range.upperBound)
            let count = scanner.digitCount(input)
            guard count >= 1, count <= 3, count == 1 || scanner.peek(input) != 0x30,
                let value = scanner.digits(count, input), scanner.isAtEnd, value <= bitsMax
            else { throw .malformed }
            bits = value
        }
        if isNetwork && hasHostBits(address, beyond: bits) {
            throw .refused(sqlstate: "22P02", because: "bits are set behind the network's")
        }
        bytes.appendInt32(Int32(4 + address.count))
        bytes += [isSix ? 3 : 2, UInt8(bits), isNetwork ? 1 : 0, UInt8(address.count)]
        bytes += address
    }

    private static func hasColon(_ input: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where input[index] == UInt8(ascii: ":") { return true }
        return false
    }

    private static func hasHostBits(_ address: [UInt8], beyond bits: Int) -> Bool {
        for (index, byte) in address.enumerated() {
            let own = min(max(bits - index * 8, 0), 8)
            if own < 8 && byte & (0xFF >> UInt8(own)) != 0 { return true }
        }
        return false
    }

    /// `a.b.c.d`, no zeros in front: some read those as octal.
    private static func four(
        _ input: Span<UInt8>, _ range: Range<Int>
    ) throws(ValueFault) -> [UInt8] {
        var scanner = TextScanner(range)
        var address: [UInt8] = []
        while true {
            let count = scanner.digitCount(input)
            guard count >= 1, count <= 3, count == 1 || scanner.peek(input) != 0x30,
                let value = scanner.digits(count, input), let byte = UInt8(exactly: value)
            else { throw .malformed }
            address.append(byte)
            if scanner.isAtEnd { break }
            guard address.count < 4, scanner.take(UInt8(ascii: "."), input) else {
                throw .malformed
            }
        }
        guard address.count == 4 else { throw .malformed }
        return address
    }

    /// RFC 4291, section 2.2: eight groups, `::` once, the last two groups as IPv4 if wanted.
    private static func six(
        _ input: Span<UInt8>, _ range: Range<Int>
    ) throws(ValueFault) -> [UInt8] {
        var scanner = TextScanner(range)
        var address: [UInt8] = []
        var gap: Int?
        if scanner.isNext("::", input) {
            scanner.skip(2)
            gap = 0
        }
        while !scanner.isAtEnd {
            guard address.count < 16 else { throw .malformed }
            let start = scanner.position
            var value: UInt32 = 0
            while let digit = scanner.peek(input).flatMap(hexDigitValue),
                scanner.position - start < 4
            {
                value = value << 4 | UInt32(digit)
                scanner.advance()
            }
            guard scanner.position > start else { throw .malformed }
            if scanner.peek(input) == UInt8(ascii: ".") {
                address += try four(input, start..<scanner.end)
                break
            }
            address.appendBigEndian(UInt64(value), byteCount: 2)
            if scanner.isAtEnd { break }
            guard scanner.take(UInt8(ascii: ":"), input), !scanner.isAtEnd else {
                throw .malformed
            }
            if scanner.peek(input) == UInt8(ascii: ":") {
                guard gap == nil else { throw .malformed }
                gap = address.count
                scanner.advance()
            }
        }
        guard address.count == 16 || (gap != nil && address.count < 16) else { throw .malformed }
        if let gap {
            guard address.count < 16 else { throw .malformed }
            address.insert(
                contentsOf: Array(repeating: 0, count: 16 - address.count), at: gap)
        }
        return address
    }

    // MARK: Back

    /// Appends the address; a network with its bits, an address with those that are not all of it.
    static func appendText(_ bytes: [UInt8], _ range: Range<Int>, to text: inout [UInt8]) {
        let at = range.lowerBound
        let address = bytes[(at + 4)..<range.upperBound]
        if address.count == 4 {
            for (index, byte) in address.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ".")) }
                text.appendDecimal(Int64(byte))
            }
        } else {
            appendSix(Array(address), to: &text)
        }
        let bits = Int(bytes[at + 1])
        guard bytes[at + 2] == 1 || bits < address.count * 8 else { return }
        text.append(UInt8(ascii: "/"))
        text.appendDecimal(Int64(bits))
    }

    /// RFC 5952, section 4: small letters, no zeros in front, `::` for the longest run of zeros.
    private static func appendSix(_ address: [UInt8], to text: inout [UInt8]) {
        let groups = (0..<8).map { Int(address[$0 * 2]) << 8 | Int(address[$0 * 2 + 1]) }
        var gap = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || groups[index] != 0 {
            if index - start > max(gap.count, 1) { gap = start..<index }
            start = index + 1
        }
        var index = 0
        while index < 8 {
            if index == gap.lowerBound && !gap.isEmpty {
                text += "::".utf8
                index = gap.upperBound
                continue
            }
            if index > 0 && index != gap.upperBound { text.append(UInt8(ascii: ":")) }
            text += String(groups[index], radix: 16).utf8
            index += 1
        }
    }
}
