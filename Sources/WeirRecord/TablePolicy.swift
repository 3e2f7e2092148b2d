/// What the operator lets callers do with a table, apart from what the database lets them do.
package struct TablePolicy: Sendable, Equatable {
    package var operations = Set(Operation.allCases)
    /// What an insert does when the row exists and the caller does not say.
    package var onConflict = ConflictRule.error
    /// The column whose values the gateway mints where callers leave them out.
    package var id: IDRule?

    package init() {}

    /// Refuses what the table does not expose.
    ///
    /// 403 `forbidden-table` and not 405: the method exists on this resource, and in a request with
    /// many records each item has to be refused by itself. An insert that may change rows that
    /// exist counts as an upsert.
    package func check(_ options: WriteOptions, table: String) throws(Defect) {
        let isMerge = options.operation == .insert && options.onConflict == .merge
        let needed = isMerge ? [.insert, .upsert] : [options.operation]
        if needed.allSatisfy(operations.contains) { return }
        let exposed = Operation.allCases.filter(operations.contains).map(\.rawValue)
        throw Defect(
            .forbiddenTable,
            "table \(table) exposes \(exposed.joined(separator: ", "))"
                + (isMerge ? "; an insert that merges duplicates is an upsert too" : ""))
    }
}

/// A column of the primary key that holds declared IDs.
package struct IDRule: Sendable, Equatable {
    package enum Form: String, CaseIterable, Sendable {
        /// `prefix_` and 26 digits of a UUID; in a text column as that text, in a uuid column as
        /// the 128 bits.
        case typeID = "typeid"
        /// A UUID without a prefix, in a uuid column.
        case uuid
    }

    package var column: String
    /// Empty where the form has none.
    package var prefix: String
    package var form: Form

    package init(column: String, prefix: String, form: Form) {
        self.column = column
        self.prefix = prefix
        self.form = form
    }
}
