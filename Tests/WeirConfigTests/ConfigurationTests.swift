import Testing
import WeirConfig
import WeirRecord

/// The configuration as a whole: what is taken, and what is said of what is wrong.
@Suite struct ConfigurationTests {
    // MARK: Mistakes

    @Test func everythingThatIsWrongIsSaidAtOnce() {
        let found = problems(
            """
            database:
              statment_timeout: 5s
            batch: {max_records: 0}
            replays: {window: 7d}
            tables:
              orders: {operations: [insert, upsrt], order_kee: x}
            """,
            environment: ["WEIR_QUEUE_TIMEOUT": "5", "WEIR_BATCH_MAX_RECORD": "5"],
            flags: ["--log-level": "loud"])
        #expect(
            found == [
                "weir.yaml:2: database.statment_timeout: there is no such key; the nearest is "
                    + "database.statement_timeout (here: url, password_file, connections, "
                    + "statement_timeout, lock_timeout)",
                "weir.yaml:3: batch.max_records: \"0\" is out of range; it takes a number from 1 "
                    + "to 50000",
                "weir.yaml:4: replays: there is no such key; the nearest is replay (here: "
                    + "database, listen, batch, queue, replay, limits, http, log, tables)",
                "weir.yaml:6: tables.orders.order_kee: there is no such key; the nearest is "
                    + "tables.orders.order_key (here: operations, on_conflict, on_reject, order, "
                    + "order_key, version_column, id)",
                "WEIR_QUEUE_TIMEOUT: queue.timeout: \"5\" is not of this kind; it takes a time "
                    + "from 1ms to 1d, such as 500ms or 10s",
                "--log-level: log.level: \"loud\" is not of this kind; it takes trace, debug, "
                    + "info, notice, warning, error, critical; the nearest is debug",
                "WEIR_BATCH_MAX_RECORD: there is no such variable; the nearest is "
                    + "WEIR_BATCH_MAX_RECORDS",
                "weir.yaml:6: tables.orders.operations: \"upsrt\" is none of insert, upsert, "
                    + "patch, delete; the nearest is upsert",
            ])
    }

    @Test(arguments: [
        ("just text", "weir.yaml:1: the file is a map of settings"),
        ("[a]", "weir.yaml:1: the file is a map of settings"),
        ("batch: 5", "weir.yaml:1: batch: it takes a map of keys"),
        ("batch:\n", "weir.yaml:1: batch: it is empty; leave it out"),
        ("batch: {max_records: }", "weir.yaml:1: batch.max_records: it has no value"),
        ("batch: {max_records: ''}", "weir.yaml:1: batch.max_records: it has no value"),
        ("batch: {max_records: [1]}", "weir.yaml:1: batch.max_records: it takes one value"),
        ("limits: {max_linger: 5ms}", "the nearest is batch.max_linger"),
        ("\nbatch: {}\nbatch: {}", "weir.yaml:3: \"batch\" stands twice, here and in line 2"),
        ("batch:\n\tmax_records: 1", "weir.yaml:2: a tab stands in the indentation"),
        ("tables: [orders]", "weir.yaml:1: tables: it takes a map of keys"),
        ("tables: {orders: all}", "weir.yaml:1: tables.orders: it takes a map of keys"),
        ("tables: {'': {}}", "weir.yaml:1: tables: a table is called name or schema.name"),
        ("tables: {orders: {}, public.orders: {}}", "tables.orders: the table stands twice"),
        ("tables: {orders: {operations: insert}}", "it takes a list, such as [insert, upsert]"),
        ("tables: {orders: {operations: []}}", "the list is empty"),
        ("tables: {orders: {operations: [[x]]}}", "each item is one word"),
        ("tables: {orders: {on_conflict: update}}", "\"update\" is none of error, ignore, merge"),
        (
            "tables: {orders: {operations: [insert], on_conflict: merge}}",
            "tables.orders.on_conflict: merge changes rows that exist"
        ),
        ("tables: {orders: {on_reject: keep}}", "\"keep\" is none of respond, dead_letter"),
        ("tables: {orders: {order: strikt}}", "none of skip, strict; the nearest is strict"),
        ("tables: {orders: {order_key: [a]}}", "tables.orders.order_key: it takes one value"),
        ("tables: {orders: {id: id}}", "tables.orders.id: it takes a map of keys"),
        ("tables: {orders: {id: {prefix: order}}}", "an id needs the column that holds it"),
        ("tables: {orders: {id: {column: id}}}", "IDs of type typeid need a prefix"),
        ("tables: {orders: {id: {column: id, prefix: Or}}}", "\"Or\" cannot be a prefix"),
        ("tables: {orders: {id: {column: id, prefix: o1}}}", "\"o1\" cannot be a prefix"),
        (
            "tables: {orders: {id: {column: id, type: uuid, prefix: o}}}",
            "IDs of type uuid have no prefix"
        ),
        ("tables: {orders: {id: {column: id, prefix: o, typ: uuid}}}", "tables.orders.id.typ: "),
        ("database: {lock_timeout: 11s}", "database.lock_timeout: 11s is longer than"),
        (
            "queue: {max_records: 100}\nbatch: {max_records: 500}",
            "batch.max_records: 500 is more than queue.max_records"
        ),
        ("limits: {body_bytes: 1KiB}", "a record of 1MiB would not fit into limits.body_bytes"),
        ("queue: {max_bytes: 1KiB}", "a record of 1MiB could never enter a queue"),
    ])
    func oneMistakeIsOneLine(_ yaml: String, _ expected: String) {
        let found = problems(yaml)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.contains(expected) == true, "\(found)")
    }

    @Test func onlyTheCommandLineIsAUsageError() {
        func isUsageOnly(_ yaml: String?, _ flags: [String: String]) -> Bool? {
            if case .failure(let error) = load(yaml, flags: flags) {
                error.isUsageOnly
            } else {
                nil
            }
        }
        #expect(isUsageOnly(nil, ["--threads": "99"]) == true)
        #expect(isUsageOnly("x: 1", ["--threads": "99"]) == false)
        #expect(isUsageOnly(nil, ["--tables": "a,,a"]) == true)
        #expect(isUsageOnly(nil, [:]) == nil)
    }

    // MARK: Environment

    @Test func anEmptyVariableIsNotSet() throws {
        let loaded = try load(environment: ["WEIR_BATCH_MAX_RECORDS": ""]).get()
        #expect(loaded.origins["batch.max_records"] == nil)
    }

    @Test func whatKubernetesTellsOfServicesIsNoMistake() {
        let known = [
            "WEIR_SERVICE_HOST", "WEIR_SERVICE_PORT", "WEIR_SERVICE_PORT_ADMIN", "WEIR_PORT",
            "WEIR_PORT_8432_TCP", "WEIR_PORT_8432_TCP_ADDR", "WEIR_ORDERS_SERVICE_HOST",
            "WEIR_ORDERS_PORT_8432_TCP_PROTO", "WEIR_POSTGRES_BIN", "WEIR_CONFIG",
        ]
        #expect(
            problems(environment: Dictionary(uniqueKeysWithValues: known.map { ($0, "x") })) == [])
        #expect(problems(environment: ["WEIR_EXPORT": "x"]).count == 1)
        #expect(problems(environment: ["WEIR_PORT_ADMIN": "x"]).count == 1)
        #expect(problems(environment: ["WEIRD": "x", "weir_batch": "x"]) == [])
    }

    // MARK: Secrets

    @Test(arguments: [
        "postgres://weir:s3cret@db/app", "postgresql://weir:s3cret@db:5432,other/app?x=y",
        "postgres://db/app?sslmode=require&password=s3cret", "postgres:///app?sslpassword=s3cret",
        "host=db password=s3cret", "password = 's3 cret' host=db",
        #"user=a\ b password='s3cr\'et'"#,
    ])
    func aPasswordIsTakenFromTheEnvironmentOnlyAndShownNowhere(_ url: String) throws {
        let inFile = problems("database: {url: \"\(url.replacing("\\", with: "\\\\"))\"}")
        #expect(inFile.count == 1 && inFile[0].contains("it holds a password"), "\(inFile)")
        #expect(problems(flags: ["--db": url]).count == 1)
        let loaded = try load(environment: ["WEIR_DATABASE_URL": url]).get()
        #expect(loaded.configuration.database.url == url)
        for text in [loaded.yaml, loaded.json] + inFile {
            #expect(!text.contains("s3"), "\(text)")
        }
        #expect(loaded.yaml.contains("********"))
    }

    @Test(arguments: [
        "", "postgres:///app", "postgres://weir@db/app", "postgres://db:5432/app@x:y",
        "host=db user=password", "service=app", "application_name='password=x'",
        "postgres://db/password?application_name=a:b@c",
    ])
    func aStringWithoutAPasswordIsShownAsItIs(_ url: String) throws {
        let loaded = try load(environment: ["WEIR_DATABASE_URL": url]).get()
        #expect(!loaded.yaml.contains("****"), "\(loaded.yaml)")
        #expect(problems(flags: ["--db": url]) == [])
    }

    @Test func aPrivateServerBringsItsOwnDatabase() {
        let found = problems("database: {url: postgres:///app}", isEmbedded: true)
        #expect(found.count == 1 && found[0].contains("--embedded brings its own database"))
        #expect(problems(isEmbedded: true) == [])
    }

    // MARK: Tables

    private let tables = """
        tables:
          customers:
          shop.orders:
            operations: [insert, patch]
            on_conflict: ignore
            id: {column: id, prefix: order}
        """

    @Test func tablesAreWhatTheFileSays() throws {
        let loaded = try load(tables).get().configuration.tables
        #expect(loaded.map(\.name.publicName) == ["customers", "shop.orders"])
        #expect(loaded[0].policy == TablePolicy())
        #expect(loaded[1].policy.operations == [.insert, .patch])
        #expect(loaded[1].policy.onConflict == .ignore)
        #expect(loaded[1].policy.id == IDRule(column: "id", prefix: "order", form: .typeID))
    }

    @Test func theFlagSaysWhichTablesThereAreAndTheFileWhatMayBeDone() throws {
        for (environment, flags) in [
            ([:], ["--tables": "lines, shop.orders"]),
            (["WEIR_TABLES": "lines,shop.orders"], [:]),
            (["WEIR_TABLES": "customers"], ["--tables": "lines,shop.orders"]),
        ] as [([String: String], [String: String])] {
            let loaded = try load(tables, environment: environment, flags: flags).get()
            let found = loaded.configuration.tables
            #expect(found.map(\.name.publicName) == ["lines", "shop.orders"])
            #expect(found[0].policy == TablePolicy())
            #expect(found[1].policy.onConflict == .ignore)
        }
    }

    @Test func aTablesSettingsAreVariablesToo() throws {
        let loaded = try load(
            tables,
            environment: [
                "WEIR_TABLES_SHOP_ORDERS_ON_CONFLICT": "error",
                "WEIR_TABLES_SHOP_ORDERS_OPERATIONS": "insert, delete",
                "WEIR_TABLES_CUSTOMERS_ID_COLUMN": "ref",
                "WEIR_TABLES_CUSTOMERS_ID_TYPE": "uuid",
            ]
        ).get()
        let found = loaded.configuration.tables
        #expect(found[1].policy.onConflict == .error)
        #expect(found[1].policy.operations == [.insert, .delete])
        #expect(found[0].policy.id == IDRule(column: "ref", prefix: "", form: .uuid))
        #expect(
            loaded.origins["tables.customers.id.type"]
                == .variable("WEIR_TABLES_CUSTOMERS_ID_TYPE"))
        #expect(
            problems(tables, environment: ["WEIR_TABLES_ORDERS_ON_CONFLICT": "error"]).count == 1)
        let two = "tables: {a_b: {}, a.b: {}}"
        let found2 = problems(two, environment: ["WEIR_TABLES_A_B_ON_CONFLICT": "error"])
        #expect(found2.count == 1 && found2[0].contains("it would mean both a_b and a.b"))
    }

    // MARK: Reloaded

    @Test func whatStandsUnderATableAndTheLogLevelMayChange() throws {
        let old = try load("tables: {orders: {}, lines: {}}").get()
        let new = try load(
            "log: {level: debug}\ntables: {orders: {operations: [insert]}, lines: {id: {column: a, prefix: x}}}"
        ).get()
        #expect(
            try old.changes(to: new) == [
                "log.level", "tables.lines.id.column", "tables.lines.id.prefix",
                "tables.lines.id.type", "tables.orders.operations",
            ])
        #expect(try new.changes(to: new) == [])
    }

    @Test func whatIsReadOnceNeedsARestartAndIsNamed() throws {
        let old = try load("tables: {orders: {}, lines: {}}").get()
        let new = try load(
            "batch: {max_records: 9}\ndatabase: {connections: 3}\nlog: {level: debug}\ntables: {orders: {}}"
        ).get()
        let refused = #expect(throws: EffectiveConfiguration.NeedsRestart.self) {
            try old.changes(to: new)
        }
        #expect(refused?.keys == ["batch.max_records", "database.connections", "tables"])
    }

    // MARK: Shown

    @Test func whatIsPrintedIsAConfigurationThatSaysTheSame() throws {
        let yaml =
            tables + "\ndatabase: {url: \"host=a user='b'\", connections: 3}\nlog: {level: debug}\n"
        let loaded = try load(yaml, environment: ["WEIR_QUEUE_TIMEOUT": "7s"]).get()
        let again = try load(loaded.yaml).get()
        #expect(again.configuration == loaded.configuration)
        #expect(loaded.yaml.contains("  timeout: 7s  # WEIR_QUEUE_TIMEOUT\n"))
        #expect(loaded.yaml.contains("  level: debug  # weir.yaml:8\n"))
        #expect(loaded.yaml.contains("  max_records: 5000  # default\n"))
        #expect(
            loaded.json.contains(#""queue.timeout":{"value":"7s","source":"WEIR_QUEUE_TIMEOUT"}"#))
        #expect(
            loaded.json.contains(#""database.password_file":{"value":null,"source":"default"}"#))
    }
}
