import Weir

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the kernel says of threads and cores. Times are in nanoseconds since they began. See
/// proc(5): schedstat, stat and task.
package struct ThreadFacts {
    /// How long the thread that asks ran, and how long it waited for a core; `nil` where that is
    /// not counted.
    package var times: () -> (ran: Int64, waited: Int64)?
    /// For how long each core had nothing to do.
    package var idle: () -> [Int: Int64]
    /// The threads of this process.
    package var threads: () -> [Int32]

    package init(
        times: @escaping () -> (ran: Int64, waited: Int64)?, idle: @escaping () -> [Int: Int64],
        threads: @escaping () -> [Int32]
    ) {
        self.times = times
        self.idle = idle
        self.threads = threads
    }

    package static var system: ThreadFacts {
        ThreadFacts(
            times: {
                let words = text("/proc/thread-self/schedstat").split(separator: " ")
                guard words.count >= 2, let ran = Int64(words[0]), let waited = Int64(words[1])
                else { return nil }
                return (ran, waited)
            },
            idle: {
                let tick = 1_000_000_000 / Int64(max(sysconf(Int32(_SC_CLK_TCK)), 1))
                var idle: [Int: Int64] = [:]
                // The sum of all cores is the first line; what is no core comes behind them.
                for line in text("/proc/stat").split(separator: "\n").dropFirst() {
                    guard line.hasPrefix("cpu") else { break }
                    let words = line.dropFirst("cpu".count).split(separator: " ")
                    guard words.count > 5, let core = Int(words[0]), let rest = Int64(words[4]),
                        let disk = Int64(words[5])
                    else { continue }
                    idle[core] = (rest + disk) * tick
                }
                return idle
            },
            threads: { ProcFolder.numbers("/proc/self/task") })
    }

    private static func text(_ path: String) -> String {
        String(
            decoding: (try? SmallFile.read(path, byteCountMax: 1 << 20)) ?? [], as: UTF8.self)
    }
}
