import WeirPostgres
import WeirRecord

/// Reads the table back and enters what it holds into the ledger.
package struct AuditReader {
    private let desk: Desk
    private let templates: Templates
    private let scratch: ScratchTable?

    private static let rowsPerFetch = 10_000

    package init(_ desk: Desk, _ templates: Templates, _ scratch: ScratchTable?) {
        self.desk = desk
        self.templates = templates
        self.scratch = scratch
    }

    /// Every row of the run, by a cursor: what the table holds need not fit into memory.
    package func read(into ledger: inout Ledger) async throws {
        let isInsert = templates.operation == .insert
        try await each(rowsSQL(ledger.messageCount)) { number, content in
            guard let number else {
                // A row that was there before anybody wrote to it.
                if isInsert { ledger.saw(nil, isAltered: false) }
                return
            }
            let isAltered = content.map { $0 != templates.stored(number) } ?? false
            if isInsert {
                ledger.saw(number, isAltered: isAltered)
            } else if isAltered {
                ledger.sawAltered()
            }
        }
        guard !isInsert, let scratch else { return }
        try await each("SELECT message, NULL FROM \(scratch.logName)") { number, _ in
            ledger.saw(number, isAltered: false)
        }
    }

    private func rowsSQL(_ messages: Int) -> String {
        let target = templates.target
        let content = templates.comparison ?? "NULL"
        if let marker = target.marker {
            let name = quotedIdentifier(target.schema.columns[marker].name)
            return "SELECT \(name), \(content) FROM \(target.schema.sqlName)"
        }
        guard let form = target.keyForm else { return "SELECT NULL, NULL WHERE false" }
        let key = quotedIdentifier(target.schema.columns[target.schema.primaryKey[0]].name)
        return "SELECT \(key), \(content) FROM \(target.schema.sqlName) WHERE "
            + form.condition(key, below: messages)
    }

    private func each(_ sql: String, _ body: (Int?, String?) -> Void) async throws {
        try await desk.query("BEGIN; SET LOCAL statement_timeout = 0")
        try await desk.query("DECLARE weir_audit NO SCROLL CURSOR FOR \(sql)")
        while true {
            let rows = try await desk.query("FETCH FORWARD \(Self.rowsPerFetch) FROM weir_audit")
            for row in rows {
                let number: Int? =
                    if templates.target.marker != nil {
                        row[0].flatMap(Int.init)
                    } else {
                        row[0].flatMap { templates.target.keyForm?.number(of: $0) }
                    }
                body(number, row[1])
            }
            if rows.count < Self.rowsPerFetch { break }
        }
        try await desk.query("COMMIT")
    }
}
