import WeirPostgres
import WeirRecord

// The table of a run: made, or found, and left as it was.
extension LoadRun {
    /// The table that is written, made if it is a scratch one.
    struct Stage: Sendable {
        var target: Target
        var templates: Templates
        var scratch: ScratchTable?
        var remarks: [String] = []
        /// Of a gateway that is started.
        var gatewayArguments: [String] = []
    }

    func prepare(_ desk: Desk, _ mode: Mode) async throws -> Stage {
        var stage = try await makeStage(desk)
        guard mode == .gateway && options.gateway == nil else { return stage }
        stage.gatewayArguments = options.gatewayArguments
        let words = ["--replay-window", "--migrate", "--config"]
        guard !options.gatewayArguments.contains(where: words.contains) else { return stage }
        if options.ownsDatabase {
            stage.gatewayArguments.append("--migrate")
        } else if await !hasReplayTables(desk) {
            // Making them would leave something behind.
            stage.gatewayArguments += ["--replay-window", "off"]
            stage.remarks.append(
                "the database has none of the gateway's own tables (weir migrate): message IDs are "
                    + "remembered while in flight only")
        }
        return stage
    }

    private func hasReplayTables(_ desk: Desk) async -> Bool {
        let rows = try? await desk.query(
            "SELECT pg_catalog.to_regclass('weir.generation') IS NOT NULL")
        return rows?.first?.first == "t"
    }

    private func makeStage(_ desk: Desk) async throws -> Stage {
        let plan = options.plan
        let isEdit = plan.operation != .insert
        let number = Int32(
            truncatingIfNeeded: Int64(bitPattern: UInt64.random(in: 1...UInt64(UInt32.max))))
        let nonce = UInt64.random(in: .min ... .max)
        var model: TableSchema?
        var unique: Set<String> = []
        if let name = options.table {
            guard let found = try await desk.table(name) else {
                throw Failure(.configuration, Self.unknownTable(name))
            }
            (model, unique) = found
        }
        if let model, options.usesRealTable {
            let stage = try stage(model, unique, marker: nil, nonce, scratch: nil)
            // Before anything that would be cleared away: what stands there is somebody else's.
            try await refuseForeignRows(stage, desk)
            return stage
        }
        let scratch = try await ScratchTable.create(
            on: desk, like: model, number: number,
            .init(countsEdits: isEdit, mayWait: plan.phases.contains { $0.slowsDatabase }))
        do {
            guard let (schema, unique) = try await desk.table(scratch.name) else {
                throw Failure(.failure, "the scratch table cannot be seen")
            }
            var stage = try stage(
                schema, unique, marker: ScratchTable.marker, nonce, scratch: scratch)
            if model == nil, let column = schema.column(named: "qty") {
                // Its CHECK refuses it: the database does, not the gateway's door.
                stage.target.poison = .init(column: column, json: "-1", text: "-1")
                stage.templates = try templates(stage.target)
            }
            for sql in stage.templates.seedingSQL { try await desk.query(sql) }
            if isEdit { try await scratch.startCounting() }
            try await desk.query("ANALYZE \(schema.sqlName)")
            return stage
        } catch {
            try? await scratch.drop()
            throw error
        }
    }

    static func unknownTable(_ name: TableName) -> String {
        "there is no table \(name.publicName) in this database, or none that this role may see"
    }

    private func stage(
        _ schema: TableSchema, _ unique: Set<String>, marker: String?, _ nonce: UInt64,
        scratch: ScratchTable?
    ) throws -> Stage {
        let target = try Target(
            schema, marker: marker, columnsInUniqueIndexes: unique, nonce: nonce,
            needsKeys: options.plan.operation != .insert)
        let templates = try templates(target)
        if options.plan.phases.contains(where: { $0.poisonPercent > 0 }) && !templates.canPoison {
            throw Failure(
                .configuration,
                "poison needs a column that refuses something: an integer, a date, a timestamp "
                    + "or a uuid; \(schema.publicName) has none that is written")
        }
        var stage = Stage(target: target, templates: templates, scratch: scratch)
        if let count = templates.fileCount {
            stage.remarks.append(
                "\(count) records of a file, in turn"
                    + (target.keyForm == nil
                        ? "; with their keys, so that they can be written once"
                        : "; with keys of the run's own"))
        }
        if scratch != nil && options.table != nil {
            stage.remarks.append(
                "a scratch copy: foreign keys and triggers are not copied; the real table is slower"
            )
        }
        return stage
    }

    private func templates(_ target: Target) throws -> Templates {
        guard let records = options.records else { return try Templates(target, options.plan) }
        do throws(RecordFile.Malformed) {
            return try Templates(target, options.plan, from: records)
        } catch {
            throw Failure(.configuration, error.reason)
        }
    }

    /// Leaves nothing of the run behind.
    func clear(_ stage: Stage, _ desk: Desk) async throws {
        if let scratch = stage.scratch { return try await scratch.drop() }
        guard let form = stage.target.keyForm, options.usesRealTable else { return }
        let schema = stage.target.schema
        let key = quotedIdentifier(schema.columns[schema.primaryKey[0]].name)
        // Only keys that this run made up, which nobody else can have: they hold its nonce. Integer
        // keys cannot: the run began only because there was none far and wide.
        try await desk.query(
            "DELETE FROM \(schema.sqlName) WHERE "
                + form.condition(key, below: LoadPlan.messagesMax))
    }

    /// A real table with integer keys where this run's would be is not written to.
    func refuseForeignRows(_ stage: Stage, _ desk: Desk) async throws {
        guard stage.scratch == nil, let form = stage.target.keyForm else { return }
        let schema = stage.target.schema
        let key = quotedIdentifier(schema.columns[schema.primaryKey[0]].name)
        let count = try await desk.query(
            "SELECT count(*) FROM (SELECT FROM \(schema.sqlName) WHERE "
                + form.danger(key) + " LIMIT 1) AS r"
        ).first?.first
        guard count == "0" else {
            throw Failure(
                .configuration,
                "\(schema.publicName) holds rows with keys near those that this run would use; use "
                    + "the scratch copy (without --yes)")
        }
    }
}
