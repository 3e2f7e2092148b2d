#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Finds the programs of an installed PostgreSQL server, the newest where there are several.
enum ServerBinaries {
    /// The folder with `initdb` and `pg_ctl`, or `nil` when no server is installed.
    static func find() -> String? {
        candidates().first { isExecutable($0 + "/initdb") && isExecutable($0 + "/pg_ctl") }
    }

    private static func candidates() -> [String] {
        let path = environment("PATH")?.split(separator: ":").map(String.init) ?? []
        return [environment("WEIR_POSTGRES_BIN")].compactMap { $0 }
            + matches("/usr/lib/postgresql/*/bin")
            + matches("/usr/pgsql-*/bin")
            + matches("/opt/homebrew/opt/postgresql@*/bin")
            + matches("/usr/local/opt/postgresql@*/bin")
            + path
    }

    /// Paths that match a shell pattern, those with the highest version first.
    private static func matches(_ pattern: String) -> [String] {
        var result = unsafe glob_t()
        defer { unsafe globfree(&result) }
        guard unsafe glob(pattern, 0, nil, &result) == 0 else { return [] }
        let paths = (0..<Int(unsafe result.gl_pathc)).compactMap { index -> String? in
            guard let path = unsafe result.gl_pathv[index] else { return nil }
            return unsafe String(cString: path)
        }
        return paths.sorted { version($0) > version($1) }
    }

    private static func version(_ path: String) -> Int {
        Int(path.split { !$0.isNumber }.last ?? "") ?? 0
    }

    private static func isExecutable(_ path: String) -> Bool { unsafe access(path, X_OK) == 0 }

    private static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }
}
