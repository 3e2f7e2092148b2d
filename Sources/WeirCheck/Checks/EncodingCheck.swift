import WeirRecord

/// Does the database store UTF-8, and does the connection speak it?
struct EncodingCheck: Check {
    let codes = ["client-encoding", "server-encoding"]

    func sql(_ subject: Subject) -> String? {
        """
        SELECT pg_encoding_to_char(encoding), current_setting('client_encoding')
        FROM pg_database WHERE datname = current_database()
        """
    }

    func findings(_ rows: [Row], _ subject: Subject) -> [Finding] {
        rows.flatMap { row -> [Finding] in
            var findings: [Finding] = []
            if row.text(0) != "UTF8" { findings.append(server(row.text(0), subject)) }
            if row.text(1) != "UTF8" { findings.append(client(row.text(1), subject)) }
            return findings
        }
    }

    private func server(_ encoding: String, _ subject: Subject) -> Finding {
        let name = quotedIdentifier(subject.database)
        let why =
            encoding == "SQL_ASCII"
            ? "SQL_ASCII checks nothing: other writers can store bytes that are no text, and "
                + "length limits count bytes."
            : "Records are UTF-8. A character that \(encoding) lacks is refused after it was "
                + "admitted, and halving its batch to find it costs its batch-mates time."
        return Finding(
            "server-encoding", .error, .init(.database, subject.database),
            what: "The database's encoding is \(encoding), not UTF8.", why: why,
            fix: "CREATE DATABASE \(quotedIdentifier(subject.database + "_utf8")) "
                + "ENCODING 'UTF8' TEMPLATE template0;\n"
                + "-- then, from a shell: pg_dump -d \(name) | psql -d "
                + quotedIdentifier(subject.database + "_utf8"))
    }

    private func client(_ encoding: String, _ subject: Subject) -> Finding {
        Finding(
            "client-encoding", .error, .init(.setting, "client_encoding"),
            what: "A connection speaks \(encoding); it cannot be made to speak UTF8.",
            why: "The gateway sends UTF-8 only. PostgreSQL would take its bytes for "
                + "\(encoding) and store other characters, or none.",
            fix: "CREATE DATABASE \(quotedIdentifier(subject.database + "_utf8")) "
                + "ENCODING 'UTF8' TEMPLATE template0;")
    }
}
