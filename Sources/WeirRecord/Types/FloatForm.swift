// float4 and float8: what text is a number, and which numbers fit.
extension ValueEncoding {
    /// PostgreSQL refuses numbers that become infinite, and those that become zero.
    func isInRange(
        _ value: some BinaryFloatingPoint, _ input: Span<UInt8>, _ range: Range<Int>
    ) -> Bool {
        guard value.isZero else {
            return value.isFinite || notFiniteWords.contains(text(input, range).lowercased())
        }
        for index in range {
            if input[index] | 0x20 == UInt8(ascii: "e") { return true }
            if input[index] >= 0x31 && input[index] <= 0x39 { return false }
        }
        return true
    }

    /// Whether the text is a decimal number, or one of the words for what is none. Swift would take
    /// hexadecimal digits too.
    func isDecimal(_ input: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var scanner = TextScanner(range)
        let hasSign =
            scanner.take(UInt8(ascii: "-"), input) || scanner.take(UInt8(ascii: "+"), input)
        var word = scanner
        if word.takeLast("infinity", input) || word.takeLast("inf", input) { return true }
        if !hasSign && word.takeLast("nan", input) { return true }
        var count = scanner.digitCount(input)
        scanner.skip(count)
        if scanner.take(UInt8(ascii: "."), input) {
            let behind = scanner.digitCount(input)
            scanner.skip(behind)
            count += behind
        }
        guard count > 0 else { return false }
        if scanner.takeLetter(UInt8(ascii: "e"), input) {
            _ = scanner.take(UInt8(ascii: "-"), input) || scanner.take(UInt8(ascii: "+"), input)
            let digits = scanner.digitCount(input)
            guard digits > 0 else { return false }
            scanner.skip(digits)
        }
        return scanner.isAtEnd
    }
}

private let notFiniteWords: Set<String> = [
    "nan", "infinity", "+infinity", "-infinity", "inf", "+inf", "-inf",
]
