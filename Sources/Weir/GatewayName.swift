#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a gateway calls itself, where what it has done is remembered.
package struct GatewayName: Sendable, Equatable {
    package var instance: String
    package var version: String

    package init(instance: String = GatewayName.process, version: String = "0") {
        self.instance = instance
        self.version = version
    }

    /// `host/pid`.
    package static var process: String {
        var name = [CChar](repeating: 0, count: 256)
        let isKnown = gethostname(&name, name.count - 1) == 0
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return "\(isKnown ? String(decoding: bytes, as: UTF8.self) : "")/\(getpid())"
    }
}
