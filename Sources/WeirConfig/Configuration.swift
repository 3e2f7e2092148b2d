package import Weir
package import WeirRecord

/// Everything that an operator can set, with its defaults. What each setting is called, may be and
/// means stands in `Setting.all`.
package struct Configuration: Sendable, Equatable {
    package struct Database: Sendable, Equatable {
        /// A URI or `key=value` pairs; `nil` leaves everything to libpq's variables.
        package var url: String?
        package var passwordFile: String?
        /// `nil` derives the number from the server's limits.
        package var connections: Int?
        package var statementTimeout: Duration = .seconds(10)
        package var lockTimeout: Duration = .seconds(2)
    }

    package struct Listen: Sendable, Equatable {
        package var api = ListenAddress.tcp(host: "127.0.0.1", port: 8432)
        package var admin = ListenAddress.tcp(host: "127.0.0.1", port: 8433)
    }

    package struct Batch: Sendable, Equatable {
        package var recordsMax = 5_000
        package var bytesMax = 4 << 20
        package var lingerMax: Duration = .milliseconds(5)
    }

    package struct Queue: Sendable, Equatable {
        package var recordsMax = 20_000
        package var bytesMax = 64 << 20
        package var timeout: Duration = .seconds(5)
    }

    package struct Replay: Sendable, Equatable {
        package var window = ReplaySetting.on(window: .seconds(7 * 86_400))
        package var memoryRecords = 65_536
    }

    package struct Limits: Sendable, Equatable {
        package var recordBytes = 1 << 20
        package var bodyBytes = 8 << 20
        package var recordsPerRequest = 10_000
        package var headerFields = 100
        package var headerBytes = 64 << 10
        package var targetBytes = 8 << 10
        package var pipelinedRequests = 64
        package var windowRecords = 10_000
        package var connections = 20_000
        package var requestTimeout: Duration = .seconds(15)
        package var idleTimeout: Duration = .seconds(300)
        package var drainTimeout: Duration = .seconds(25)
    }

    package var database = Database()
    package var listen = Listen()
    package var batch = Batch()
    package var queue = Queue()
    package var replay = Replay()
    package var limits = Limits()
    package var httpThreads = 1
    package var logLevel = "info"
    /// In the order of the file or of `--tables`.
    package var tables: [Table] = []

    package struct Table: Sendable, Equatable {
        package var name: TableName
        package var policy = TablePolicy()
    }

    package init() {}
}
