import WeirCore
import WeirTesting

extension Scenario {
    /// A script that a seed makes: one patient session and one that is not, on few keys, so that
    /// they meet all the time. The model plays along to know who waits; what it shows is what
    /// PostgreSQL is to show.
    static func random(seed: UInt64) -> Scenario {
        var random = SplitMix64(seed: seed)
        var runner = ModelRunner()
        var steps: [Step] = []
        for _ in 0..<14 {
            let wasWaiting = runner.isWaiting(.a)
            let client: Client = wasWaiting || random.below(2) == 0 ? .x : .a
            steps.append(
                runner.pipeline(client, statements(&random, isWatched: wasWaiting)))
            if wasWaiting && !runner.isWaiting(.a) { steps.append(runner.wake(.a)) }
        }
        let wasWaiting = runner.isWaiting(.a)
        steps.append(.hangUp(.x))
        _ = runner.perform(.hangUp(.x))
        if wasWaiting { steps.append(runner.wake(.a)) }
        steps.append(runner.pipeline(.a, [.rollback]))
        for table in [Relation.items, .log, .ruled, .newer, .older] {
            steps.append(.rows(table, runner.rows(of: table)))
        }
        return Scenario("seed \(seed)", steps)
    }

    /// - Parameter isWatched: somebody waits for this session. It does nothing behind the end of
    ///   its transaction, since who would be first is not decided.
    private static func statements(
        _ random: inout SplitMix64, isWatched: Bool
    ) -> [Statement] {
        let control: [Statement] = [.begin, .begin, .commit, .commit, .rollback]
        var list: [Statement] = []
        for _ in 0...random.below(4) {
            if random.below(3) == 0 {
                list.append(control[random.below(control.count)])
                if isWatched && (list.last == .commit || list.last == .rollback) { break }
            } else {
                list.append(statement(&random))
            }
        }
        return list
    }

    private static func statement(_ random: inout SplitMix64) -> Statement {
        let tables: [Relation] = [.items, .items, .ruled, .newer, .older]
        let table = tables[random.below(tables.count)]
        let key = 1 + random.below(3)
        let other = 1 + random.below(3)
        // Poison now and then.
        let value = random.below(4) == 0 ? 900 + 10 * random.below(5) : random.below(50)
        switch random.below(14) {
        case 0: return .put(table, [key, value])
        case 1: return .put(table, [key, value], [other, 1])
        case 2: return .ignore(table, [key, value])
        case 3: return .ignore(table, [key, value], [other, 2])
        case 4: return .upsert(table, [key, value])
        case 5: return .upsertNewer(table, [key, value], [other, 3])
        case 6: return .set(table, key, to: value)
        case 7: return .add(table, key)
        case 8: return .drop(table, key)
        case 9: return .read(table, 1, 2, 3)
        case 10: return .gate([key, value], [other, 4])
        case 11: return .put(.log, [key, value])
        case 12: return .checkConstraints
        default:
            let definitions: [Statement] = [
                .lock(table), .truncate(.older), .close(.newer), .open(.newer),
            ]
            return definitions[random.below(definitions.count)]
        }
    }
}

extension ModelRunner {
    /// These steps, performed, with what they show.
    fileprivate mutating func pipeline(
        _ client: Scenario.Client, _ list: [Statement]
    ) -> Scenario.Step {
        .pipeline(client, list, shown(.pipeline(client, list, "")))
    }

    fileprivate mutating func wake(_ client: Scenario.Client) -> Scenario.Step {
        .wake(client, shown(.wake(client, "")))
    }

    private mutating func shown(_ step: Scenario.Step) -> String {
        // Without the client's name and its colon.
        String((perform(step) ?? "").dropFirst(3))
    }
}
