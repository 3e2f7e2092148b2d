import ArgumentParser

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where the results of a measurement go: standard output and files, each whole or complained of.
struct ResultFiles {
    /// A path, or `nil` for standard output.
    private var parts: [(path: String?, text: String)] = []

    /// Before the run: a result that cannot be written would have been measured in vain.
    ///
    /// - Throws: exit code 78.
    static func check(_ paths: [String]) throws {
        for path in paths where path != "-" {
            let isThere = access(path, F_OK) == 0
            let file = open(path, O_WRONLY | O_CREAT, 0o644)
            guard file >= 0 else {
                complain("\(path) cannot be written: \(String(cString: strerror(errno)))")
                throw ExitCode.configuration
            }
            close(file)
            if !isThere { unlink(path) }
        }
    }

    /// Whether standard output shows colours to somebody who wants them.
    static var isColoured: Bool {
        let refusesColour = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
        return isatty(STDOUT_FILENO) == 1 && !refusesColour
    }

    mutating func add(_ path: String, _ text: String) { parts.append((path, text)) }

    /// A page for people on standard output; where JSON goes there instead, the page goes nowhere.
    mutating func addPage(_ page: String, json: String?, _ text: String) {
        parts.append((nil, json == "-" ? text : page))
        if let json, json != "-" { parts.append((json, text)) }
    }

    /// - Throws: exit code 1 when one cannot be written; all others are.
    func write() throws {
        var isWhole = true
        for (path, text) in parts {
            isWhole =
                (path.map { Self.write(text, to: $0) }
                    ?? Self.put(text, on: STDOUT_FILENO, "standard output")) && isWhole
        }
        if !isWhole { throw ExitCode.failure }
    }

    private static func write(_ text: String, to path: String) -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else {
            complain("\(path) cannot be written: \(String(cString: strerror(errno)))")
            return false
        }
        let isWhole = put(text, on: file, path)
        guard close(file) == 0 else {
            complain("\(path) cannot be written: \(String(cString: strerror(errno)))")
            return false
        }
        return isWhole
    }

    private static func put(_ text: String, on file: Int32, _ name: String) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { systemWrite(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                complain("\(name) cannot be written: \(String(cString: strerror(errno)))")
                return false
            }
            bytes = bytes.dropFirst(count)
        }
        return true
    }
}

/// The system's, in a type that has a `write` of its own.
func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(file, bytes, count)
}
