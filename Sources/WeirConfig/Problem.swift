/// Where a value came from.
package enum Origin: Sendable, Equatable, CustomStringConvertible {
    case fallback
    case file(path: String, line: Int)
    case variable(String)
    case flag(String)

    package var description: String {
        switch self {
        case .fallback: "default"
        case .file(let path, let line): "\(path):\(line)"
        case .variable(let name): name
        case .flag(let name): name
        }
    }
}

/// One thing that is wrong with the configuration: where, what, why and what to do.
package struct Problem: Sendable, Equatable, CustomStringConvertible {
    package let origin: Origin
    /// `batch.max_records`; `nil` where it is not about one.
    package let key: String?
    package let text: String

    package init(_ origin: Origin, _ key: String?, _ text: String) {
        self.origin = origin
        self.key = key
        self.text = text
    }

    package var description: String {
        "\(origin): " + (key.map { "\($0): " } ?? "") + text
    }
}

/// Everything that is wrong, in the order of file, environment, flags and what does not fit
/// together.
package struct ConfigurationError: Error, Sendable, Equatable {
    package let problems: [Problem]

    package init(problems: [Problem]) {
        self.problems = problems
    }

    /// Nothing but the command line is to blame: what a file is called counts as the file's fault.
    package var isUsageOnly: Bool {
        problems.allSatisfy {
            if case .flag(let name) = $0.origin { name != "--config" } else { false }
        }
    }
}
