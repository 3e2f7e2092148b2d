/// What a configuration file holds, with the line of everything in it.
package struct YAMLNode: Sendable, Equatable {
    package enum Content: Sendable, Equatable {
        /// The text, whatever YAML would make of it: `no`, `1` and `"1"` are all text here, and the
        /// setting says what it has to be.
        case scalar(String)
        /// Nothing, `~` or `null`.
        case empty
        case list([YAMLNode])
        case map([Member])
    }

    package struct Member: Sendable, Equatable {
        package let key: String
        package let line: Int
        package let value: YAMLNode
    }

    package let content: Content
    /// From 1.
    package let line: Int
}

/// Why a file cannot be read, or may not be.
package struct YAMLDefect: Error, Sendable, Equatable {
    package let line: Int
    package let text: String

    init(_ line: Int, _ text: String) {
        self.line = line
        self.text = text
    }
}
