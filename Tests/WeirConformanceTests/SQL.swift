import WeirTesting

extension Statement {
    /// The statement as PostgreSQL reads it.
    ///
    /// - Parameter pid: the backend of a session.
    func sql(pid: (SessionID) -> Int32) -> String {
        switch self {
        case .begin: "BEGIN"
        case .commit: "COMMIT"
        case .rollback: "ROLLBACK"
        case .insert(let insert): insert.sql
        case .update(let update): update.sql
        case .delete(let table, let keys): "DELETE FROM \(table.name) WHERE k IN (\(list(keys)))"
        case .select(let table, let keys): "SELECT * FROM \(table.name) WHERE k IN (\(list(keys)))"
        case .probe(let table): "SELECT EXISTS (SELECT FROM \(table.name))::int"
        case .lock(let table): "LOCK TABLE \(table.name) IN ACCESS EXCLUSIVE MODE"
        case .close(let table):
            """
            ALTER TABLE \(table.name) ADD CONSTRAINT \(ModelTable.closedConstraint)
                CHECK (false) NOT VALID
            """
        case .open(let table):
            "ALTER TABLE \(table.name) DROP CONSTRAINT \(ModelTable.closedConstraint)"
        case .truncate(let table): "TRUNCATE \(table.name)"
        case .checkConstraints: "SET CONSTRAINTS ALL IMMEDIATE"
        case .identify:
            """
            SELECT system_identifier, timeline_id, pg_current_wal_insert_lsn() - '0/0'
                FROM pg_control_system(), pg_control_checkpoint()
            """
        case .terminate(let session):
            "SELECT pg_terminate_backend(\(pid(session)), 10000)::int"
        }
    }
}

extension Statement.Insert {
    fileprivate var sql: String {
        let name = table.name
        let values = rows.map { "(\(list($0)))" }.joined(separator: ",")
        var sql = "INSERT INTO \(name) (k, v) VALUES \(values)"
        if let other = unlessIn?.name {
            sql = """
                INSERT INTO \(name) SELECT u.k, u.v FROM (VALUES \(values)) u(k, v)
                WHERE NOT EXISTS (SELECT FROM \(other) o WHERE o.k = u.k) ORDER BY u.k
                """
        }
        if !failures.isEmpty {
            let conditions = failures.map { "(CASE WHEN \($0) END)::regclass IS NULL" }
            sql = """
                INSERT INTO \(name) SELECT u.k, u.v FROM (VALUES \(values)) u(k, v)
                WHERE \(conditions.joined(separator: " AND "))
                """
        }
        switch conflict {
        case .fail: break
        case .ignore: sql += " ON CONFLICT DO NOTHING"
        case .update(let newer):
            sql += " ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v"
            if newer != nil { sql += " WHERE \(name).v < EXCLUDED.v" }
        }
        return returnsKeys ? sql + " RETURNING k" : sql
    }
}

extension Statement.Insert {
    /// As the gate has it: where it must not go on, it names what does not exist.
    private var failures: [String] {
        let changed = failsUnless.map {
            "(SELECT v FROM \($0.table.name) WHERE k = \($0.row[0])) <> \($0.row[1]) "
                + "THEN 'pg_catalog.weir_generation_changed'"
        }
        let met = failsIfIn.map {
            "EXISTS (SELECT FROM \($0.name) WHERE k IN (\(list(rows.map { $0[0] })))) "
                + "THEN 'pg_catalog.weir_message_met'"
        }
        return [changed, met].compactMap { $0 }
    }
}

extension Statement.Update {
    fileprivate var sql: String {
        let value =
            switch change {
            case .set(_, let value): "\(value)"
            case .add(_, let amount): "v + \(amount)"
            }
        return "UPDATE \(table.name) SET v = \(value) WHERE k IN (\(list(keys)))"
    }
}

extension Scenario.Step {
    /// The step on one line, for who reads of a difference.
    var text: String {
        guard case .pipeline(let client, let list, let shown) = self else { return "\(self)" }
        let statements = list.map { $0.sql { _ in 0 } }.joined(separator: "; ")
        return "\(client): \(statements) -- \(shown)"
    }
}

extension Relation {
    var name: String { Scenario.tables[number].name }
}

extension ModelTable.Definition {
    /// The table, its constraints and its triggers. The schema has a function `fail`, which raises
    /// its argument, and `skip`.
    var sql: String {
        let columns = columns.map { "\($0) bigint NOT NULL" }.joined(separator: ", ")
        var sql = "CREATE TABLE \(name) (\(columns)\(isUnique ? ", PRIMARY KEY (k)" : ""));"
        for (number, rule) in rules.enumerated() {
            let values = "\(rule.values.lowerBound) AND \(rule.values.upperBound)"
            let column = self.columns[rule.column]
            let before = "CREATE TRIGGER t\(number) BEFORE INSERT OR UPDATE ON \(name) FOR EACH ROW"
            let condition = "WHEN (NEW.\(column) BETWEEN \(values)) EXECUTE FUNCTION"
            switch rule.action {
            case .check:
                sql += """
                    ALTER TABLE \(name) ADD CONSTRAINT \(checkConstraint)
                        CHECK (\(column) NOT BETWEEN \(values));
                    """
            case .raise(let sqlstate): sql += "\(before) \(condition) fail('\(sqlstate)');"
            case .skip: sql += "\(before) \(condition) skip();"
            case .raiseDeferred(let sqlstate):
                sql += """
                    CREATE CONSTRAINT TRIGGER t\(number) AFTER INSERT OR UPDATE ON \(name)
                        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \(condition) fail('\(sqlstate)');
                    """
            }
        }
        return sql
    }
}

private func list(_ values: [Int]) -> String {
    values.map(String.init).joined(separator: ", ")
}
