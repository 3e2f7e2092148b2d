import Weir
import WeirCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// CPU times of processes on this machine.
enum ProcessTimes {
    /// User and system time of this process.
    static var own: Nanoseconds {
        var usage = rusage()
        // RUSAGE_SELF is 0 wherever there is a getrusage; its type differs.
        getrusage(.init(0), &usage)
        let seconds = Int64(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        let micros = Int64(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
        return Nanoseconds(seconds * 1_000_000_000 + micros * 1_000)
    }

    /// The PostgreSQL server that a backend of it belongs to: the postmaster, its children, and
    /// those that it has outlived. `nil` where /proc does not show them, as for a server elsewhere.
    static func server(ofBackend backend: Int32) -> Nanoseconds? {
        guard let own = Stat(backend), own.name.hasPrefix("postgres"),
            let postmaster = Stat(own.parent), postmaster.name.hasPrefix("postgres")
        else { return nil }
        // The postmaster waits for its children, whose times add up in its own.
        var ticks = postmaster.ticks + postmaster.childrenTicks
        for process in ProcFolder.numbers("/proc") {
            if let stat = Stat(process), stat.parent == own.parent { ticks += stat.ticks }
        }
        return Nanoseconds(Int64(Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))) * 1e9))
    }

    /// One process, its dead children included.
    static func process(_ id: Int32) -> Nanoseconds? {
        guard let stat = Stat(id) else { return nil }
        let ticks = stat.ticks + stat.childrenTicks
        return Nanoseconds(Int64(Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))) * 1e9))
    }

    /// proc(5), /proc/PID/stat.
    private struct Stat {
        var name: String
        var parent: Int32
        var ticks: Int
        var childrenTicks: Int

        init?(_ process: Int32) {
            guard let file = fopen("/proc/\(process)/stat", "r") else { return nil }
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 1_024)
            let count = fread(&bytes, 1, bytes.count, file)
            let line = String(decoding: bytes.prefix(count), as: UTF8.self)
            // The name stands in brackets and may hold anything.
            guard let open = line.firstIndex(of: "("), let close = line.lastIndex(of: ")") else {
                return nil
            }
            name = String(line[line.index(after: open)..<close])
            let fields = line[line.index(after: close)...].split(separator: " ")
            guard fields.count > 14, let parent = Int32(fields[1]), let user = Int(fields[11]),
                let system = Int(fields[12]), let childUser = Int(fields[13]),
                let childSystem = Int(fields[14])
            else { return nil }
            self.parent = parent
            ticks = user + system
            childrenTicks = childUser + childSystem
        }
    }
}
