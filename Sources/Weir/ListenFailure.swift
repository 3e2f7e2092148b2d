/// A listener that could not be opened, for people: which, where and why.
package struct ListenFailure: Error, CustomStringConvertible, Sendable {
    private let listener: String
    private let address: String
    private let reason: String

    /// - Parameters:
    ///   - listener: the flag that names the address.
    ///   - reason: the system's error; its text ends with the system's own words.
    package init(_ listener: String, address: String, reason: any Error) {
        self.listener = listener
        self.address = address
        self.reason = "\(reason)"
    }

    package var description: String {
        "cannot listen on \(address): \(reason). "
            + "Stop what listens there, or choose another \(listener)"
    }
}
