import Foundation
import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

/// What changes for a gateway that runs.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ReloadTests {
    @Test func aNewPasswordNeedsNoRestart() async throws {
        try await withServer { server in
            try server.execute("CREATE ROLE app LOGIN PASSWORD 'right-one'")
            let rules = try #require(try server.query("SHOW hba_file")[0][0])
            try write("local all weir trust\nlocal all app scram-sha-256\n", to: rules)
            try server.execute("SELECT pg_reload_conf()")
            let file = "/tmp/weir-password-\(UInt64.random(in: 0 ... .max))"
            defer { try? FileManager.default.removeItem(atPath: file) }
            try write("wrong-one\n", to: file)
            let info = try Conninfo(
                server.conninfo + " user=app", passwordFile: file, statementTimeout: .seconds(5),
                lockTimeout: .seconds(5))
            let writer = PostgresWriter(.init(conninfo: info, tables: []), number: 0)
            let failure = await #expect(throws: ConnectFailure.self) { try await writer.connect() }
            #expect(failure?.reason.contains("password authentication failed") == true)
            #expect(failure?.reason.contains("wrong-one") == false)
            try write("right-one\r\n", to: file)
            try await writer.connect()
            #expect(await writer.isAlive())
            await writer.disconnect()
            for text in ["", "\n", "two\nlines\n"] {
                try write(text, to: file)
                let failure = await #expect(throws: ConnectFailure.self) {
                    try await writer.connect()
                }
                #expect(failure?.reason.contains("does not hold one line") == true)
            }
        }
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }
}
