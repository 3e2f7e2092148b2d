internal import CLibpq

/// Owns one `PGresult`.
@safe struct QueryResult: ~Copyable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) {
        unsafe self.handle = handle
    }

    deinit {
        unsafe PQclear(handle)
    }

    var status: ExecStatusType { unsafe PQresultStatus(handle) }
    var columnCount: Int { Int(unsafe PQnfields(handle)) }
    var rowCount: Int { Int(unsafe PQntuples(handle)) }

    /// `INSERT 0 5`, `COMMIT`.
    var commandTag: String { unsafe String(cString: PQcmdStatus(handle)) }

    /// Rows that the statement touched, by its command tag.
    var affectedCount: Int { Int(unsafe String(cString: PQcmdTuples(handle))) ?? 0 }

    /// A value in text form; `nil` is NULL.
    func text(_ row: Int, _ column: Int) -> String? {
        guard unsafe PQgetisnull(handle, Int32(row), Int32(column)) == 0 else { return nil }
        return unsafe String(cString: PQgetvalue(handle, Int32(row), Int32(column)))
    }

    func bytes(_ row: Int, _ column: Int) -> [UInt8] {
        let count = Int(unsafe PQgetlength(handle, Int32(row), Int32(column)))
        guard count > 0, let start = unsafe PQgetvalue(handle, Int32(row), Int32(column)) else {
            return []
        }
        return unsafe start.withMemoryRebound(to: UInt8.self, capacity: count) {
            unsafe Array(UnsafeBufferPointer(start: $0, count: count))
        }
    }

    /// A non-negative integer in text form, read without making a string of it.
    func integer(_ row: Int, _ column: Int) -> Int {
        guard var at = unsafe PQgetvalue(handle, Int32(row), Int32(column)) else { return 0 }
        var value = 0
        while unsafe at.pointee >= 0x30 && at.pointee <= 0x39 {
            value = value * 10 + Int(unsafe at.pointee - 0x30)
            unsafe at += 1
        }
        return value
    }

    private func field(_ code: Int32) -> String? {
        guard let text = unsafe PQresultErrorField(handle, code) else { return nil }
        return unsafe String(cString: text)
    }

    /// What quotes the row that an error speaks of: to guess which record that was, and for nothing
    /// and nobody else.
    var hints: (detail: String?, context: String?) {
        (field(weir_diag_detail()), field(weir_diag_context()))
    }

    var error: ServerError {
        ServerError(
            sqlstate: field(weir_diag_sqlstate()) ?? "",
            severity: field(weir_diag_severity()) ?? "",
            message: field(weir_diag_message()) ?? "", constraint: field(weir_diag_constraint()),
            column: field(weir_diag_column()), table: field(weir_diag_table()))
    }
}

/// An ErrorResponse of the server, without DETAIL and CONTEXT, which quote rows.
package struct ServerError: Error, Equatable {
    package var sqlstate: String
    /// ERROR ends the statement, FATAL the session, PANIC the server.
    package var severity: String
    package var message: String
    package var constraint: String?
    package var column: String?
    package var table: String?

    package init(
        sqlstate: String, severity: String, message: String, constraint: String? = nil,
        column: String? = nil, table: String? = nil
    ) {
        self.sqlstate = sqlstate
        self.severity = severity
        self.message = message
        self.constraint = constraint
        self.column = column
        self.table = table
    }

    /// Whether the session is over.
    package var isFatal: Bool { severity == "FATAL" || severity == "PANIC" }
}
