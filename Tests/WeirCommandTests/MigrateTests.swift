import Foundation
import Testing
import WeirMigrations
import WeirPostgres

/// `weir migrate`, and what `weir serve` makes of a database that needs it.
@Suite(.serialized, .timeLimit(.minutes(2))) struct MigrateTests {
    /// Runs with a private server, whose connection string it is given.
    private func withServer(_ body: (EmbeddedServer) throws -> Void) async throws {
        let number = UInt64.random(in: 0 ... .max)
        var configuration = EmbeddedServer.Configuration(directory: "/tmp/weir-migrate-\(number)")
        configuration.isDurable = false
        let server = try await EmbeddedServer.start(configuration)
        let result = Result { try body(server) }
        await server.remove()
        try result.get()
    }

    private func migrate(_ server: EmbeddedServer, _ arguments: String...) throws -> Command.Output
    {
        try Command.run(["migrate", "--db", server.conninfo] + arguments)
    }

    @Test func theTablesAreMadeOnceAndTold() async throws {
        try await withServer { server in
            let before = try migrate(server, "--status")
            #expect(before.status == 1, "\(before.errors)")
            let pending = Migrations.all.map { "  pending  \($0.name)\n" }.joined()
            #expect(before.text.contains(pending))

            try server.execute("CREATE ROLE app LOGIN")
            let dry = try migrate(server, "--dry-run", "--grant-to", "app")
            #expect(dry.status == 0 && dry.errors == "")
            #expect(dry.text.contains("CREATE TABLE weir.replay_a"))
            #expect(dry.text.contains("GRANT USAGE ON SCHEMA weir TO \"app\";\n"))
            #expect(try server.query("SELECT to_regnamespace('weir')") == [[nil]])

            let done = try migrate(server)
            #expect(done.status == 0, "\(done.errors)")
            #expect(done.text == Migrations.all.map { "applied \($0.name)\n" }.joined())
            let again = try migrate(server, "--grant-to", "app")
            #expect(again.status == 0)
            #expect(again.text.hasPrefix("schema weir is up to date\nGRANT USAGE ON SCHEMA weir"))
            #expect(
                try server.query("SELECT has_table_privilege('app', 'weir.replay_b', 'INSERT')")
                    == [["t"]])
            let nothing = try migrate(server, "--dry-run")
            #expect(nothing.text == "-- schema weir is up to date: there is nothing to run\n")

            let status = try migrate(server, "--status", "--json")
            #expect(status.status == 0)
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(status.text.utf8)) as? [String: Any])
            #expect(
                object.keys.sorted() == [
                    "applied", "database", "done", "grants", "notices", "pending", "role",
                ])
            #expect(object["pending"] as? [String] == [])
            let applied = try #require(object["applied"] as? [[String: Any]])
            #expect(applied.map { $0["checksum"] as? String } == Migrations.all.map(\.checksum))
        }
    }

    @Test func mistakesHaveTheirExitCodes() async throws {
        try await withServer { server in
            #expect(try migrate(server, "--status", "--dry-run").status == 64)
            #expect(try migrate(server, "--grant-to", "").status == 64)
            let gone = try Command.run(["migrate", "--db", "host=/nowhere dbname=x"])
            #expect(gone.status == 69)
            let secret = try Command.run(["migrate", "--db", "host=x password=hunter2"])
            #expect(secret.status == 78 && !secret.errors.contains("hunter2"))
            let nobody = try migrate(server, "--grant-to", "nobody_here")
            #expect(nobody.status == 78)
            #expect(nobody.errors.contains("CREATE ROLE \"nobody_here\" LOGIN;"))
            try server.execute("CREATE ROLE plain LOGIN")
            let plain = server.conninfo.replacing("user=weir", with: "user=plain")
            let refused = try Command.run(["migrate", "--db", plain])
            #expect(refused.status == 78)
            #expect(refused.errors.contains("may not create a schema"))
            // From the environment, where a URL may stand that holds a password.
            let variable = try Command.run(
                ["migrate", "--status"], environment: ["WEIR_DATABASE_URL": server.conninfo])
            #expect(variable.status == 1, "\(variable.errors)")
        }
    }

    @Test func serveRefusesADatabaseThatIsNotMigratedAndSaysWhatToRun() async throws {
        try await withServer { server in
            try server.execute("CREATE TABLE orders (id int PRIMARY KEY)")
            let arguments = [
                "--db", server.conninfo, "--tables", "orders", "--listen", "127.0.0.1:0", "--admin",
                "127.0.0.1:0",
            ]
            let refused = try Command.run(["serve"] + arguments)
            #expect(refused.status == 78)
            #expect(
                refused.errors.contains("lacks 0001_replay, 0002_dead_letter, 0003_redrive. Run:"))
            #expect(refused.errors.contains("\n  weir migrate --db \"host="))
            #expect(refused.errors.contains("--replay-window off"))

            let without = try Command.serve(arguments + ["--replay-window", "off"]) { _ in }
            #expect(without.status == 0, "\(without.errors)")
            #expect(try server.query("SELECT to_regnamespace('weir')") == [[nil]])

            let migrating = try Command.serve(arguments + ["--migrate"]) { _ in }
            #expect(migrating.status == 0, "\(migrating.errors)")
            #expect(migrating.errors.contains("migration applied"))
            let plain = try Command.serve(arguments) { _ in }
            #expect(plain.status == 0 && !plain.errors.contains("migration applied"))

            try server.execute("UPDATE weir.migration SET checksum = 'x'")
            let changed = try Command.run(["serve", "--migrate"] + arguments)
            #expect(changed.status == 78)
            #expect(changed.errors.contains("with other content than this program has"))
        }
    }

    @Test func theEmbeddedServerIsMigratedByItself() throws {
        let folder = "/tmp/weir-migrate-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let served = try Command.serve(
            ["--embedded", folder, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        ) { gateway in
            let session = try EmbeddedServer.OwnerSession(gateway.conninfo)
            #expect(
                try session.query("SELECT name FROM weir.migration ORDER BY 1")
                    == Migrations.all.map { [$0.name] })
        }
        #expect(served.status == 0, "\(served.errors)")
    }
}
