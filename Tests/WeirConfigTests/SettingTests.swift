import Testing
import Weir
import WeirConfig
import WeirCore

/// Every setting, from each of its sources, at its bounds.
@Suite struct SettingTests {
    @Test func namesAreDistinctAndVariablesFollowThem() {
        #expect(Set(Setting.all.map(\.key)).count == Setting.all.count)
        #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
        #expect(Set(Setting.all.compactMap(\.flag)).count == Setting.all.compactMap(\.flag).count)
        #expect(Setting.named("batch.max_records")?.variable == "WEIR_BATCH_MAX_RECORDS")
        #expect(Setting.named("database.url")?.variable == "WEIR_DATABASE_URL")
    }

    /// A text that each setting takes and that is not its default.
    static func sample(_ setting: Setting) -> String {
        switch setting.kind {
        case .count(_, let range), .derivedCount(_, let range): "\(range.lowerBound + 1)"
        case .size(_, let range): "\(range.lowerBound + 1)"
        case .duration(_, let range): (range.lowerBound + .milliseconds(1)).configured
        case .window(_, let range): (range.lowerBound + .seconds(1)).configured
        case .address: "unix:/run/x.sock"
        case .logLevel: "debug"
        case .path: "/run/secrets/x"
        case .connection: "postgres:///other"
        }
    }

    /// Beside these the bounds between settings leave every sample alone.
    static let room =
        "queue: {max_records: 1000000, max_bytes: 16GiB}\nlimits: {body_bytes: 1GiB}\n"

    @Test(arguments: Setting.all.map(\.key))
    func everySourceCountsAndTheNextOneCountsMore(_ key: String) throws {
        let setting = try #require(Setting.named(key))
        let parts = key.split(separator: ".")
        let text = Self.sample(setting)
        let quoted = "'\(text)'"
        let relaxed = [
            "WEIR_QUEUE_MAX_BYTES": "16GiB", "WEIR_LIMITS_BODY_BYTES": "1GiB",
            "WEIR_LIMITS_RECORD_BYTES": "1KiB", "WEIR_BATCH_MAX_RECORDS": "1",
            "WEIR_DATABASE_LOCK_TIMEOUT": "10ms",
        ].filter { $0.key != setting.variable }
        let yaml = "\(parts[0]):\n  \(parts[1]): \(quoted)\n"
        let fromFile = try load(yaml, environment: relaxed).get()
        #expect(setting.text(in: fromFile.configuration) == text)
        #expect(fromFile.origins[key] == .file(path: "weir.yaml", line: 2))
        #expect(fromFile.yaml.contains("\(parts[1]): "))
        var environment = relaxed
        environment[setting.variable] = text
        let other = setting.text(in: Configuration()) ?? text
        let fromVariable = try load(
            "\(parts[0]): {\(parts[1]): '\(other)'}", environment: environment
        ).get()
        #expect(setting.text(in: fromVariable.configuration) == text)
        #expect(fromVariable.origins[key] == .variable(setting.variable))
        guard let flag = setting.flag else { return }
        environment[setting.variable] = other
        let fromFlag = try load(environment: environment, flags: [flag: text]).get()
        #expect(setting.text(in: fromFlag.configuration) == text)
        #expect(fromFlag.origins[key] == .flag(flag))
    }

    @Test(arguments: Setting.all.map(\.key))
    func boundsAreIncludedAndWhatIsBeyondIsRefused(_ key: String) throws {
        let setting = try #require(Setting.named(key))
        func refusals(_ text: String) -> [String] {
            problems(environment: [setting.variable: text]).filter {
                $0.contains(": \(key): \"") && $0.contains("it takes \(setting.form)")
            }
        }
        let (low, high, below, above): (String, String, String?, String?)
        switch setting.kind {
        case .count(_, let range), .derivedCount(_, let range), .size(_, let range):
            (low, high) = ("\(range.lowerBound)", "\(range.upperBound)")
            (below, above) = ("\(range.lowerBound - 1)", "\(range.upperBound + 1)")
        case .duration(_, let range), .window(_, let range):
            (low, high) = (range.lowerBound.configured, range.upperBound.configured)
            let isZero = range.lowerBound == .zero
            below = isZero ? nil : (range.lowerBound - .milliseconds(1)).configured
            above = (range.upperBound + .milliseconds(1)).configured
        case .address, .logLevel:
            #expect(refusals("nonsense").count == 1)
            return
        case .path, .connection:
            return
        }
        #expect(refusals(low).isEmpty && refusals(high).isEmpty)
        for text in [below, above].compactMap(\.self) {
            #expect(refusals(text).count == 1, "\(text)")
        }
        for text in [
            "x", "-1", "1_000", "0x10", "1e3", "+5", " 5", "99999999999999999999", "5 apples",
        ] {
            #expect(refusals(text).count == 1, "\(text)")
        }
    }

    @Test(
        arguments: [
            ("off", .off), ("0", .off), ("1h", .on(window: .seconds(3_600))),
            ("7d", .on(window: .seconds(604_800))),
        ] as [(String, ReplaySetting)])
    func theReplayWindowCanBeSwitchedOff(_ text: String, _ expected: ReplaySetting) throws {
        let loaded = try load("replay: {window: \(text)}").get()
        #expect(loaded.configuration.replay.window == expected)
        #expect(
            try load(environment: ["WEIR_REPLAY_WINDOW": text]).get().configuration.replay
                .window == expected)
        // What is printed reads the same again.
        let printed = try load(loaded.yaml).get()
        #expect(printed.configuration == loaded.configuration)
    }

    @Test func aWindowOutlivesWhatItHasToRemember() {
        #expect(
            problems("replay: {window: 2h}\nqueue: {timeout: 3h}").contains {
                $0.contains("replay.window: 2h is shorter than queue.timeout (3h)")
            })
        #expect(
            problems("replay: {window: 3h}\ndatabase: {statement_timeout: 1h}").contains {
                $0.contains("replay.window: 3h is shorter than four times")
            })
        #expect(problems("replay: {window: off}\nqueue: {timeout: 1d}").isEmpty)
    }

    @Test(arguments: [
        ("10s", 10_000), ("500ms", 500), ("7d", 604_800_000), ("2 m", 120_000), ("1h", 3_600_000),
        ("0s", 0),
    ])
    func timesHaveUnits(_ text: String, milliseconds: Int) {
        #expect(Duration(configured: text) == .milliseconds(milliseconds))
    }

    @Test(arguments: [
        "", "s", "10", "10 sec", "1.5s", "-1s", "10S", "9999999999999999999d", "ms10",
    ])
    func otherTimesAreNone(_ text: String) {
        #expect(Duration(configured: text) == nil)
    }

    @Test(arguments: [
        ("4MiB", 4 << 20), ("64KiB", 64 << 10), ("1000000", 1_000_000), ("4096B", 4_096),
        ("1 MiB", 1 << 20),
    ])
    func sizesHaveUnits(_ text: String, bytes: Int) throws {
        let loaded = try load("batch: {max_bytes: \(text)}").get()
        #expect(loaded.configuration.batch.bytesMax == bytes)
    }

    @Test(arguments: ["4MB", "4M", "4kb", "1.5MiB", "9999999999GiB"])
    func otherSizesAreNone(_ text: String) {
        #expect(problems("batch: {max_bytes: \(text)}").count == 1)
    }

    @Test func theDefaultsAreThoseOfTheCore() {
        var machine = Machine.Configuration()
        machine.writersMax = 8
        #expect(Machine.Configuration(Configuration(), writersMax: 8) == machine)
    }

    @Test func theCoreIsToldWhatIsConfigured() throws {
        let loaded = try load(
            """
            database: {connections: 3}
            batch: {max_records: 7, max_bytes: 8KiB, max_linger: 9ms}
            queue: {max_records: 70, max_bytes: 2MiB}
            """
        ).get()
        let machine = Machine.Configuration(loaded.configuration, writersMax: 8)
        #expect(machine.writersMax == 3)
        #expect(machine.batch.recordsMax == 7 && machine.batch.bytesMax == 8 << 10)
        #expect(machine.batch.lingerMax == .milliseconds(9))
        #expect(machine.admission.recordsMax == 70 && machine.admission.bytesMax == 2 << 20)
    }
}
