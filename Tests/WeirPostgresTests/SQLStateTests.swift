import Testing
import Weir
import WeirCore
import WeirPostgres
import WeirRecord

extension PostgresTests {
    /// What each SQLSTATE means for a batch: a trigger raises whichever the record asks for.
    @Suite struct SQLStateTests {
        struct Case: Sendable, CustomTestStringConvertible {
            var state: String
            var outcome: BatchOutcome
            var code: ProblemCode
            var message = "raised"
            var constraint = ""
            /// The connection is not to be used again.
            var isLost = false
            var testDescription: String { "\(state) \(constraint) \(message)" }

            static func record(_ state: String, _ code: ProblemCode, constraint: String = "")
                -> Case
            {
                Case(
                    state: state, outcome: .recordError(culprit: 0), code: code,
                    constraint: constraint)
            }

            static func transient(_ state: String, _ reason: TransientReason) -> Case {
                Case(
                    state: state, outcome: .transient(reason), code: .retriesExhausted,
                    isLost: reason == .connectionLost)
            }

            static func table(_ state: String) -> Case {
                // Whichever the scene's only table is.
                Case(state: state, outcome: .tableFault(TableID(0)), code: .tablePaused)
            }

            static func stop(_ state: String) -> Case {
                Case(
                    state: state, outcome: .transient(.other), code: .databaseUnavailable,
                    isLost: true)
            }
        }

        static let cases: [Case] = [
            .record("22000", .invalidValue), .record("22001", .invalidValue),
            .record("22003", .invalidValue), .record("22012", .invalidValue),
            .record("22021", .invalidValue), .record("22P02", .invalidValue),
            .record("22P05", .invalidValue), .record("21000", .invalidValue),
            .record("23502", .notNullViolation), .record("23503", .foreignKeyViolation),
            .record("23505", .uniqueViolation), .record("23P01", .exclusionViolation),
            .record("23514", .checkViolation, constraint: "c"), .record("44000", .checkViolation),
            .record("23514", .checkViolation),
            .record("54000", .invalidValue), .record("54001", .invalidValue),
            .record("23000", .checkViolation), .record("23001", .foreignKeyViolation),
            .record("27000", .triggerException), .record("38000", .triggerException),
            .record("2F005", .triggerException),
            .record("P0001", .triggerException), .record("P0002", .triggerException),
            .transient("40001", .serialization), .transient("40P01", .deadlock),
            .transient("55P03", .lockTimeout), .transient("55006", .lockTimeout),
            .transient("57014", .statementTimeout), .transient("53100", .resources),
            .transient("53200", .resources), .transient("53300", .resources),
            .transient("08006", .connectionLost), .transient("57P01", .connectionLost),
            .transient("57P03", .connectionLost), .transient("25006", .connectionLost),
            .transient("25P03", .connectionLost), .transient("26000", .connectionLost),
            .table("0A000"), .table("42P01"), .table("42703"), .table("42501"),
            .table("42804"), .table("42P10"), .table("3D000"), .table("3F000"), .table("28000"),
            .table("55000"), .stop("XX000"), .stop("XX001"), .stop("58030"), .stop("25001"),
            Case(
                state: "0A000", outcome: .transient(.other), code: .retriesExhausted,
                message: "cached plan must not change result type"),
        ]

        @Test(arguments: cases) func eachStateHasItsMeaning(_ value: Case) async throws {
            let scene = try await Scene(
                """
                CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF NEW.name = '' THEN
                        RAISE EXCEPTION USING ERRCODE = NEW.state, MESSAGE = NEW.message;
                    END IF;
                    RAISE EXCEPTION USING ERRCODE = NEW.state, MESSAGE = NEW.message,
                        CONSTRAINT = NEW.name;
                END $$;
                CREATE TABLE items (state text, message text, name text);
                CREATE TRIGGER t AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION raise()
                """)
            let report = try await scene.write(
                .insert(
                    "items",
                    """
                    {"state":"\(value.state)","message":"\(value.message)",
                     "name":"\(value.constraint)"}
                    """))
            let isTable = value.outcome == .tableFault(TableID(0))
            #expect(
                report.outcome
                    == (isTable ? .tableFault(try scene.table("items").id) : value.outcome))
            #expect(report.error?.sqlstate == value.state)
            #expect(report.error?.code == value.code)
            #expect(report.error?.message == value.message)
            #expect(report.isConnected == !value.isLost)
            #expect(await scene.writer.isAlive() == !value.isLost)
            #expect(try await scene.rows("SELECT * FROM items") == [])
        }
    }
}
