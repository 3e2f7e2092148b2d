import WeirRecord

/// How schema `weir` stands in a database, and what a role may do about it.
struct SchemaState {
    let hasSchema: Bool
    let schemaOwner: String
    let mayUse: Bool
    let mayAdd: Bool
    /// Whether a migration was ever applied.
    let hasTables: Bool
    let tableOwner: String
    let mayRead: Bool
    let mayChange: Bool
    let database: String
    let databaseOwner: String
    let role: String
    let mayCreateSchemas: Bool

    /// From the row of `WeirSchema.stateSQL`; `nil` if it is another one's.
    init?(_ row: [String?]) {
        guard row.count == 12, let database = row[8], let role = row[10] else { return nil }
        let holds = { (index: Int) in row[index] == "t" }
        hasSchema = holds(0)
        schemaOwner = row[1] ?? ""
        mayUse = holds(2)
        mayAdd = holds(3)
        hasTables = holds(4)
        tableOwner = row[5] ?? ""
        mayRead = holds(6)
        mayChange = holds(7)
        self.database = database
        databaseOwner = row[9] ?? ""
        self.role = role
        mayCreateSchemas = holds(11)
    }

    /// Why the role cannot apply migrations, and what to run instead; `nil` if it can.
    ///
    /// - Parameter command: the line that migrates as another role.
    func obstacle(_ command: (_ role: String) -> String) -> String? {
        if hasTables {
            guard !mayChange else { return nil }
            return """
                the tables of schema weir belong to \(tableOwner), and \(role) may not change \
                them. Run this as \(tableOwner):
                  \(command(tableOwner))
                """
        }
        if hasSchema {
            guard !mayUse || !mayAdd else { return nil }
            return """
                schema weir belongs to \(schemaOwner), and \(role) may not create tables in it. \
                Run this as \(schemaOwner):
                  \(command(schemaOwner))
                """
        }
        guard !mayCreateSchemas else { return nil }
        return """
            the role \(role) may not create a schema in database \(database). Run this as \
            \(databaseOwner), who owns the database:
              \(command(databaseOwner))
            or let \(role) do it, with this statement of \(databaseOwner):
              GRANT CREATE ON DATABASE \(quotedIdentifier(database)) TO \(quotedIdentifier(role));
            """
    }
}

/// Where a session is connected to, so that the same place can be named again.
package struct ConnectedPlace: Equatable, Sendable {
    /// A host, or the folder of a unix socket.
    package let host: String
    package let port: String
    package let database: String

    package init(host: String, port: String, database: String) {
        self.host = host
        self.port = port
        self.database = database
    }

    /// `weir migrate --db "host=… port=… dbname=… user=…"`, ready for a shell.
    package func migrateCommand(as role: String, grantTo gateway: String? = nil) -> String {
        var pairs = [("host", host), ("port", port), ("dbname", database), ("user", role)]
        pairs.removeAll { $0.1.isEmpty }
        let text = pairs.map { "\($0.0)=\(Self.value($0.1))" }.joined(separator: " ")
        let grant = gateway.map { " --grant-to \(Self.word($0))" } ?? ""
        return "weir migrate --db \"\(Self.escaped(text))\"" + grant
    }

    /// A value as libpq takes it.
    private static func value(_ text: String) -> String {
        guard !isPlain(text) else { return text }
        let escaped = text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
        return "'\(escaped)'"
    }

    private static func word(_ text: String) -> String {
        isPlain(text) ? text : "\"\(escaped(text))\""
    }

    /// Between double quotes of a shell.
    private static func escaped(_ text: String) -> String {
        text.map { "\"\\$`".contains($0) ? "\\\($0)" : String($0) }.joined()
    }

    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty
            && text.allSatisfy {
                $0.isASCII && ($0.isLetter || $0.isNumber || "/._:,@%+-".contains($0))
            }
    }
}
