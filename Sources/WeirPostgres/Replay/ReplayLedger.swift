import Weir
import WeirCore
import WeirRecord

/// What one connection knows of the replay tables: which generation takes entries, and which of the
/// statements for them it has prepared. docs/decisions/0016-replay-protocol.md has the protocol.
package final class ReplayLedger {
    /// One of the two halves of the memory. The other one is frozen.
    enum Half: String, Sendable {
        case a
        case b

        var other: Half { self == .a ? .b : .a }
        var attempts: String { "weir.attempt_\(rawValue)" }
        var messages: String { "weir.replay_\(rawValue)" }
    }

    struct Generation: Equatable, Sendable {
        var current: Half
        /// How often the halves have been exchanged.
        var number: Int64
        /// The other half holds nothing, and will not while this one takes entries.
        var isOtherEmpty: Bool
    }

    /// Statements that are prepared when they are first needed.
    package enum Statement: Int, CaseIterable {
        /// The attempt's own row: who finds it committed knows that the attempt has.
        case marker
        /// An entry for each message ID; fails when one of them has an entry already.
        case gate
        /// The same, with the keys that the gateway minted.
        case gateWithKeys
        /// The entries of message IDs.
        case look
        /// Puts right what the gate could not know yet.
        case results
        /// Takes entries of this very transaction back.
        case withdraw
        /// Takes out a dead letter that is sent again, and its message's entry.
        case release
        /// A dead letter without a message ID, and one with its message's entry.
        case letter
        case remembered
        /// Keeps plans that were made for small tables from reading large ones from end to end.
        case byIndex
    }

    /// How many batches look for their message IDs first, once one was met that had committed.
    package static let cautionMax = 16

    private(set) var generation: Generation {
        didSet { names = Statement.allCases.map { Self.name($0, generation) } }
    }
    /// By `Statement.rawValue`.
    private var names: [String]
    /// Of this gateway, for the history of messages.
    let origin: GatewayName
    private var prepared: Set<String> = []
    private var caution = 0
    let parameters = ParameterList()

    init(_ generation: Generation, origin: GatewayName) {
        self.generation = generation
        names = Statement.allCases.map { Self.name($0, generation) }
        self.origin = origin
    }

    // MARK: Generations

    static func readGeneration(
        on session: Session, by deadline: Timestamp
    ) throws(Session.Failure) -> Generation {
        let rows = try session.query(
            """
            SELECT current, number, CASE current
                WHEN 'a' THEN NOT EXISTS (SELECT FROM weir.replay_b)
                ELSE NOT EXISTS (SELECT FROM weir.replay_a) END
            FROM weir.generation
            """, by: deadline)
        guard let row = rows.first, row.count == 3, let half = row[0].flatMap(Half.init),
            let number = row[1].flatMap({ Int64($0) })
        else { throw .lost("weir.generation has no row") }
        return Generation(current: half, number: number, isOtherEmpty: row[2] == "t")
    }

    /// The generation that takes entries, when a connection begins.
    static func open(
        on session: Session, by deadline: Timestamp
    ) throws(ConnectFailure) -> Generation {
        do throws(Session.Failure) {
            return try readGeneration(on: session, by: deadline)
        } catch {
            switch error {
            case .lost(let reason): throw ConnectFailure(reason)
            case .server(let error) where error.sqlstate == "42501":
                throw ConnectFailure(
                    "\(error.message); let the owner of schema weir run "
                        + "`weir migrate --grant-to` with this role's name")
            case .server(let error):
                throw ConnectFailure("\(error.message); run `weir migrate`")
            }
        }
    }

    func update(on session: Session, by deadline: Timestamp) throws(Session.Failure) {
        generation = try Self.readGeneration(on: session, by: deadline)
    }

    // MARK: Expecting repetitions

    /// Whether the next batch should look before it writes: repetitions come in swarms, and each
    /// one that the gate meets costs a transaction.
    var expectsRepetitions: Bool { caution > 0 }

    func noteLook(hasFound: Bool) {
        caution = hasFound ? Self.cautionMax : max(caution - 1, 0)
    }

    // MARK: Statements

    func name(_ statement: Statement) -> String { names[statement.rawValue] }

    private static func name(_ statement: Statement, _ generation: Generation) -> String {
        switch statement {
        case .look, .letter, .byIndex, .release: "weir_\(statement)"
        case .gate where generation.isOtherEmpty, .gateWithKeys where generation.isOtherEmpty:
            "weir_\(statement)_\(generation.current.rawValue)_alone"
        default: "weir_\(statement)_\(generation.current.rawValue)"
        }
    }

    func isPrepared(_ statement: Statement) -> Bool { prepared.contains(name(statement)) }
    func markPrepared(_ statement: Statement) { prepared.insert(name(statement)) }

    func sql(_ statement: Statement) -> String {
        let half = generation.current
        return switch statement {
        case .marker:
            """
            INSERT INTO \(half.attempts) (id, attempt, records, outcome, instance, version)
            VALUES ($1::uuid, $2::int4, $3::int4, 0, \(quotedLiteral(origin.instance)),
                \(quotedLiteral(origin.version)))
            """
        case .gate: gate(key: "", array: "")
        case .gateWithKeys: gate(key: ", key", array: ", $8::text[]")
        case .look:
            [Half.a, .b].map { half in
                """
                SELECT u.ord, r.fingerprint = u.fingerprint,
                    pg_catalog.encode(pg_catalog.uuid_send(r.attempt_id), 'hex'),
                    r.outcome, r.key, r.dead_letter
                FROM unnest($1::uuid[], $2::int8[]) WITH ORDINALITY AS u(id, fingerprint, ord)
                JOIN \(half.messages) r ON r.id = u.id
                """
            }.joined(separator: " UNION ALL ")
        case .results:
            """
            UPDATE \(half.messages) r SET outcome = u.outcome, key = u.key
            FROM unnest($1::uuid[], $2::int2[], $3::text[]) AS u(id, outcome, key)
            WHERE r.id = u.id
            """
        case .letter: Self.letter + " RETURNING id"
        case .remembered:
            """
            WITH letter AS (\(Self.letter) RETURNING id)
            INSERT INTO \(half.messages)
                (id, attempt_id, fingerprint, dead_letter, outcome, request, trace)
            SELECT $6::uuid, $2::uuid, $24::int8, l.id, \(RowEffect.storedDeadLetter),
                $17::text, $18::text
            FROM letter l
            WHERE \(isCurrent("$25"))
                AND (CASE WHEN EXISTS (SELECT FROM \(half.other.messages) o WHERE o.id = $6::uuid)
                    THEN '\(Self.met)' END)::pg_catalog.regclass IS NULL
            RETURNING dead_letter
            """
        case .withdraw: "DELETE FROM \(half.messages) WHERE id = ANY ($1::uuid[])"
        case .release:
            """
            WITH letter AS (
                DELETE FROM weir.dead_letter WHERE id = $1::int8 AND edits = $2::int4 RETURNING id
            ), a AS (DELETE FROM weir.replay_a WHERE id = $3::uuid AND dead_letter = $1::int8
            ), b AS (DELETE FROM weir.replay_b WHERE id = $3::uuid AND dead_letter = $1::int8)
            SELECT (CASE WHEN NOT EXISTS (SELECT FROM letter)
                THEN '\(Self.gone)' END)::pg_catalog.regclass
            """
        case .byIndex: "SET LOCAL enable_seqscan = off"
        }
    }

    private func gate(key: String, array: String) -> String {
        let half = generation.current
        let insert = """
            INSERT INTO \(half.messages)
                (id, attempt_id, fingerprint, outcome, request, trace\(key))
            SELECT id, $1::uuid, fingerprint, outcome, request, trace\(key)
            FROM unnest($2::uuid[], $3::int8[], $4::int2[], $5::text[], $6::text[]\(array))
                AS u(id, fingerprint, outcome, request, trace\(key))
            WHERE \(isCurrent("$7"))
            """
        if generation.isOtherEmpty { return insert }
        // The other half is frozen, so that it may be asked once and for all of them.
        return insert + """
             AND (CASE WHEN EXISTS (SELECT FROM \(half.other.messages) o WHERE o.id = ANY ($2))
                THEN '\(Self.met)' END)::pg_catalog.regclass IS NULL
            """
    }

    /// True while the generation is the one whose number the parameter is. Two rotations later this
    /// half takes entries again, and all else that this connection knows of the two is wrong. The
    /// marker, which comes first, has locked the half, so that the number stays as it is.
    private func isCurrent(_ number: String) -> String {
        """
        (CASE WHEN (SELECT number FROM weir.generation) <> \(number)::int8
            THEN '\(Self.changed)' END)::pg_catalog.regclass IS NULL
        """
    }

    /// Names nothing, now or ever: reading it as a relation is the error that says that a message
    /// ID is in the older half.
    private static let met = "pg_catalog.weir_message_met"

    /// The same way of saying that the generation is another one than this connection knows.
    private static let changed = "pg_catalog.weir_generation_changed"
    /// The same for a dead letter that is not there as it was read.
    private static let gone = "pg_catalog.weir_letter_gone"

    private static let letter = """
        INSERT INTO weir.dead_letter (fingerprint, attempt_id, attempts, table_name, operation,
            message, message_id, order_key, key, media_type, sqlstate, constraint_name, column_name,
            code, reason, raw, request, trace, instance, version, config_hash, on_conflict,
            version_column, message_fingerprint)
        VALUES ($1::int8, $2::uuid, $3::int4, $4::text, $5::text, $6::uuid, $7::text, $8::text,
            $9::text, $10::text, $11::text, $12::text, $13::text, $14::text, $15::text, $16::bytea,
            $17::text, $18::text, $19::text, $20::text, $21::text, $22::text, $23::text, $24::int8)
        """

    // MARK: What an error says

    /// What it means that one of these statements failed.
    package enum Refusal: Equatable {
        /// A message ID of the batch has committed before: which one has to be looked up.
        case messageMet
        /// The generation was closed, or is another one than it was: which one takes entries has to
        /// be read again.
        case generationClosed
        /// A dead letter that is sent again is not there any more, or not as it was read.
        case letterGone
        /// The batch meets what any other batch could meet.
        case ordinary
        /// The tables are not what they were.
        case broken
    }

    package static func refusal(of statement: Statement, _ error: ServerError) -> Refusal {
        if error.sqlstate == "23505" {
            // A marker meets none but the fence that was put up against it.
            return statement == .marker ? .ordinary : .messageMet
        }
        if error.sqlstate == "42P01", error.message.contains("weir_message_met") {
            return .messageMet
        }
        if error.sqlstate == "42P01", error.message.contains("weir_generation_changed") {
            return .generationClosed
        }
        if error.sqlstate == "42P01", error.message.contains("weir_letter_gone") {
            return .letterGone
        }
        if error.sqlstate == "23514", error.constraint == "weir_generation_closed" {
            return .generationClosed
        }
        if case .transient = ErrorClass(error) { return .ordinary }
        return .broken
    }
}
