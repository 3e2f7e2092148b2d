import ArgumentParser
import Weir
import WeirConfig
import WeirHTTP
import WeirPostgres
import WeirRecord

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

// From file, environment and flags to what each part is told.
extension ServeCommand {
    /// Where the configuration comes from, now and when it is read again.
    func configurationSource() -> ConfigurationSource {
        let environment = ProcessInfo.processInfo.environment
        let variable = environment["WEIR_CONFIG"] ?? ""
        return ConfigurationSource(
            path: config ?? (variable.isEmpty ? nil : variable),
            pathOrigin: config == nil ? .variable("WEIR_CONFIG") : .flag("--config"),
            environment: environment,
            flags: [
                "--db": db, "--tables": tables, "--listen": listen, "--admin": admin,
                "--connections": connections, "--threads": threads, "--log-level": logLevel,
                "--replay-window": replayWindow,
            ].compactMapValues { $0 },
            isEmbedded: embedded)
    }

    /// - Throws: exit code 78 when the configuration is wrong, 64 when only the flags are; what is
    ///   wrong stands on standard error by then.
    func loadConfiguration(_ source: ConfigurationSource) throws -> EffectiveConfiguration {
        let effective: EffectiveConfiguration
        do throws(ConfigurationError) {
            effective = try source.read()
        } catch {
            for problem in error.problems { complain("\(problem)") }
            throw error.isUsageOnly ? ExitCode.validationFailure : ExitCode.configuration
        }
        guard embedded || !effective.configuration.tables.isEmpty else {
            guard let path = source.path else {
                complain("say which tables may be written: --tables orders,customers")
                throw ExitCode.validationFailure
            }
            complain("\(path): say which tables may be written: tables: {orders: {}}")
            throw ExitCode.configuration
        }
        return effective
    }

    /// - Parameter conninfo: of the private server; `nil` goes by the configuration.
    func writerConfiguration(
        _ effective: EffectiveConfiguration, _ conninfo: String?
    ) throws -> PostgresWriter.Configuration {
        let database = effective.configuration.database
        let exposed = effective.configuration.tables
        let origin = effective.origins["database.url"]
        let isFromVariable = if case .variable? = origin { true } else { false }
        do {
            let info = try Conninfo(
                conninfo ?? database.url ?? "",
                passwordFile: conninfo == nil ? database.passwordFile : nil,
                mayHoldPassword: isFromVariable, statementTimeout: database.statementTimeout,
                lockTimeout: database.lockTimeout)
            var writers = PostgresWriter.Configuration(
                conninfo: info,
                tables: exposed.isEmpty ? [TableName(Demo.table)] : exposed.map(\.name))
            writers.statementTimeout = database.statementTimeout
            writers.policies = PolicyStore(
                effective.policies, configurationHash: effective.hash)
            writers.origin = GatewayName(version: weirVersion)
            writers.replay = effective.configuration.replay.window
            return writers
        } catch {
            complain(origin.map { "\($0): \(error.reason)" } ?? error.reason)
            throw ExitCode.configuration
        }
    }
}

/// Everything that a configuration is put together from.
struct ConfigurationSource: Sendable {
    var path: String?
    /// What named the path.
    var pathOrigin: Origin
    var environment: [String: String]
    var flags: [String: String]
    var isEmbedded: Bool

    func read() throws(ConfigurationError) -> EffectiveConfiguration {
        var input = ConfigurationInput()
        input.environment = environment
        input.flags = flags
        input.isEmbedded = isEmbedded
        if let path {
            do throws(FileFailure) {
                let bytes = try SmallFile.read(path, byteCountMax: YAMLReader.byteCountMax)
                input.file = (path, bytes)
            } catch {
                throw ConfigurationError(
                    problems: [Problem(pathOrigin, nil, "\(path): \(error.reason)")])
            }
        }
        return try EffectiveConfiguration(input)
    }
}

extension ServerConfiguration {
    init(_ configuration: Configuration, version: String) {
        self.init()
        address = configuration.listen.api
        threads = configuration.httpThreads
        queueTimeout = configuration.queue.timeout
        let limits = configuration.limits
        recordByteCountMax = limits.recordBytes
        bodyByteCountMax = limits.bodyBytes
        recordsPerRequestMax = limits.recordsPerRequest
        headerFieldCountMax = limits.headerFields
        headerByteCountMax = limits.headerBytes
        targetByteCountMax = limits.targetBytes
        pipelinedMax = limits.pipelinedRequests
        windowRecordsMax = min(limits.windowRecords, max(configuration.queue.recordsMax / 2, 1))
        connectionsMax = limits.connections
        requestTimeout = limits.requestTimeout
        idleTimeout = limits.idleTimeout
        drainTimeout = limits.drainTimeout
        self.version = version
    }
}
