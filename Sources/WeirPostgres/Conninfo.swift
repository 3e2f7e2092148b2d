internal import CLibpq
package import Weir

/// How to reach the database: what the operator said, what libpq takes from its environment, and
/// what the gateway insists on.
package struct Conninfo: Sendable {
    /// A URI or `key=value` pairs; empty leaves everything to libpq's `PG*` variables.
    private let text: String
    private let settings: [(String, String)]
    private let passwordFile: String?
    private var manner = Manner.gateway
    /// Overrules what the text says; empty leaves that as it is.
    private var applicationName = ""

    /// How much of the server is asked for at connecting.
    package enum Manner: Sendable {
        /// As the gateway connects: its settings and UTF-8.
        case gateway
        /// The role's and the database's own settings: poolers may refuse the gateway's.
        case plain
        /// The database's own encoding too: not every one can be converted to UTF-8.
        case bare
    }

    /// Rarely is a password longer; tokens that stand for one have some 2,000 bytes.
    private static let passwordByteCountMax = 16 << 10

    /// - Parameters:
    ///   - passwordFile: holds the password and nothing else. It is read for each connection, so
    ///     that a new password needs no restart.
    ///   - mayHoldPassword: whether `text` may carry one: where nobody but the process sees it.
    /// - Throws: `ConnectFailure` when libpq cannot read the text, or the file cannot be read.
    package init(
        _ text: String, passwordFile: String? = nil, mayHoldPassword: Bool = false,
        statementTimeout: Duration, lockTimeout: Duration
    ) throws(ConnectFailure) {
        self.text = text
        self.passwordFile = passwordFile
        try Self.check(text, mayHoldPassword: mayHoldPassword)
        if let passwordFile { _ = try Self.password(in: passwordFile) }
        // Whatever the role's or the database's defaults are: one meaning everywhere.
        settings = [
            ("statement_timeout", milliseconds(statementTimeout)),
            ("lock_timeout", milliseconds(lockTimeout)),
            ("idle_in_transaction_session_timeout", milliseconds(statementTimeout)),
            ("default_transaction_isolation", "read\\ committed"),
            ("default_transaction_read_only", "off"),
            ("synchronous_commit", "on"),
            // What a value's text means, whatever the server or the role is set to.
            ("DateStyle", "ISO,\\ YMD"),
            ("IntervalStyle", "postgres"),
            ("TimeZone", "UTC"),
            ("bytea_output", "hex"),
            ("array_nulls", "on"),
            ("standard_conforming_strings", "on"),
            // Every statement has one shape and arrays of any length: planning again finds nothing
            // new.
            ("plan_cache_mode", "force_generic_plan"),
            // Every statement is short: compiling it would take longer than it runs.
            ("jit", "off"),
        ]
    }

    /// The same database, asked for less.
    package func connecting(_ manner: Manner) -> Conninfo {
        var copy = self
        copy.manner = manner
        return copy
    }

    /// The same database, under a name by which the server's views can tell these connections.
    package func named(_ applicationName: String) -> Conninfo {
        var copy = self
        copy.applicationName = applicationName
        return copy
    }

    /// What the gateway sets on each of its connections, as the server shows it; times in ms.
    package var settingsWanted: [(name: String, value: String)] {
        settings.map { ($0.0, String($0.1.filter { $0 != "\\" })) }
    }

    /// For `PQconnectStartParams`, later ones winning.
    func parameters() throws(ConnectFailure) -> [(String, String)] {
        let password = if let passwordFile { try Self.password(in: passwordFile) } else { "" }
        let options =
            manner == .gateway
            ? settings.map { "-c \($0.0)=\($0.1)" }.joined(separator: " ") : ""
        return [
            ("dbname", text.isEmpty ? Self.environmentURL : text),
            ("password", password),
            ("client_encoding", manner == .bare ? "" : "UTF8"),
            ("options", options),
            ("fallback_application_name", "weir"),
            ("application_name", applicationName),
            ("tcp_user_timeout", "10000"),
            ("keepalives_idle", "5"),
            ("keepalives_interval", "2"),
            ("keepalives_count", "3"),
        ].filter { !$0.1.isEmpty }
    }

    private static var environmentURL: String {
        guard let value = unsafe getenv("DATABASE_URL") else { return "" }
        return unsafe String(cString: value)
    }

    private static func password(in path: String) throws(ConnectFailure) -> String {
        let place = "database.password_file \(path)"
        var bytes: [UInt8]
        do {
            bytes = try SmallFile.read(path, byteCountMax: passwordByteCountMax)
        } catch {
            throw ConnectFailure("\(place) cannot be read: \(error.reason)")
        }
        // The line end that editors leave.
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty, !bytes.contains(0), !bytes.contains(0x0A),
            let password = String(validating: bytes, as: UTF8.self)
        else { throw ConnectFailure("\(place) does not hold one line of UTF-8 text") }
        return password
    }

    private static func check(_ text: String, mayHoldPassword: Bool) throws(ConnectFailure) {
        var message: UnsafeMutablePointer<CChar>?
        let options = unsafe PQconninfoParse(text, &message)
        defer { unsafe PQconninfoFree(options) }
        guard var option = unsafe options else {
            let reason = unsafe message.map { unsafe String(cString: $0) } ?? "it cannot be read"
            unsafe PQfreemem(message)
            throw ConnectFailure("the connection string is malformed: \(reason)")
        }
        if mayHoldPassword { return }
        while let keyword = unsafe option.pointee.keyword {
            if unsafe String(cString: keyword) == "password", unsafe option.pointee.val != nil {
                throw ConnectFailure(
                    "the connection string holds a password; put it into PGPASSFILE or PGPASSWORD")
            }
            unsafe option += 1
        }
    }
}

func milliseconds(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    return String(seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
}

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif
