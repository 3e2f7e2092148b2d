/// What may be asked of the model server: the statements that the batch protocol and its
/// neighbours use, as values. The conformance tests write each of them in SQL too.
package enum Statement: Equatable, Sendable {
    case begin
    case commit
    case rollback
    case insert(Insert)
    case update(Update)
    case delete(from: Relation, keys: [Int])
    case select(from: Relation, keys: [Int])
    /// LOCK TABLE, in the mode that keeps everybody out.
    case lock(Relation)
    /// ALTER TABLE: refuses rows from now on, by the constraint `ModelTable.closedConstraint`.
    case close(Relation)
    /// ALTER TABLE: drops that constraint.
    case open(Relation)
    case truncate(Relation)
    /// SELECT EXISTS: answers 1 or 0.
    case probe(Relation)
    /// SET CONSTRAINTS ALL IMMEDIATE.
    case checkConstraints
    /// Answers one row: system identifier, timeline, position of the write-ahead log.
    case identify
    /// Ends a session, this one or another.
    case terminate(SessionID)

    /// The row that a table is to have.
    package struct Condition: Equatable, Sendable {
        package var table: Relation
        package var row: [Int]

        package init(_ table: Relation, _ row: [Int]) {
            self.table = table
            self.row = row
        }
    }

    /// INSERT, with the conflict clauses that the gateway writes.
    package struct Insert: Equatable, Sendable {
        package enum Conflict: Equatable, Sendable {
            case fail
            case ignore
            /// Sets all other columns to those of the row that was to be inserted, where
            /// `ifNewer`, a column, is greater in it.
            case update(ifNewer: Int?)
        }

        package var table: Relation
        /// The first value is the key.
        package var rows: [[Int]]
        package var conflict: Conflict
        /// Leaves out the rows whose key this table has.
        package var unlessIn: Relation?
        /// Fails with 42P01 if this table has one of the keys: the gate names a relation there that
        /// does not exist, `weir_message_met`.
        package var failsIfIn: Relation?
        /// The same with `weir_generation_changed`, unless that table has this row, if it has the
        /// key at all.
        package var failsUnless: Condition?
        /// RETURNING the key.
        package var returnsKeys: Bool

        package init(
            _ table: Relation, _ rows: [[Int]], conflict: Conflict = .fail,
            unlessIn: Relation? = nil, failsIfIn: Relation? = nil,
            failsUnless: Condition? = nil, returnsKeys: Bool = false
        ) {
            self.table = table
            self.rows = rows
            self.conflict = conflict
            self.unlessIn = unlessIn
            self.failsIfIn = failsIfIn
            self.failsUnless = failsUnless
            self.returnsKeys = returnsKeys
        }
    }

    /// UPDATE of the rows with these keys, in this order.
    package struct Update: Equatable, Sendable {
        package enum Change: Equatable, Sendable {
            case set(column: Int, to: Int)
            case add(column: Int, Int)
        }

        package var table: Relation
        package var keys: [Int]
        package var change: Change

        package init(_ table: Relation, keys: [Int], _ change: Change) {
            self.table = table
            self.keys = keys
            self.change = change
        }
    }
}

/// A table of a model server, by its place in the list that the server was made with.
package struct Relation: Hashable, Sendable {
    package let number: Int
    package init(_ number: Int) { self.number = number }
}

/// A session of a model server, and its backend's process number: never given twice.
package struct SessionID: Hashable, Comparable, Sendable {
    package let number: Int
    package init(_ number: Int) { self.number = number }
    package static func < (left: SessionID, right: SessionID) -> Bool {
        left.number < right.number
    }
}
