import ArgumentParser
import Weir
import WeirConfig

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A configuration file that is changed in place: all or nothing, with its comments and its order.
struct ConfigurationFile {
    private let path: String

    /// - Throws: exit code 78 when it could not be changed later.
    init(_ path: String) throws {
        // A link stays one: what it leads to is changed.
        guard let resolved = realpath(path, nil) else {
            complain("--write: \(path): \(String(cString: strerror(errno)))")
            throw ExitCode.configuration
        }
        defer { free(resolved) }
        self.path = String(cString: resolved)
        _ = try changed([("database.connections", "1"), ("batch.max_records", "1")])
        let folder = Self.folder(of: self.path)
        guard access(self.path, W_OK) == 0, access(folder, W_OK) == 0 else {
            complain("--write: \(path) and its folder have to be writable")
            throw ExitCode.configuration
        }
    }

    private static func folder(of path: String) -> String {
        let end = path.lastIndex(of: "/") ?? path.startIndex
        return end == path.startIndex ? "/" : String(path[..<end])
    }

    private func changed(_ changes: [(key: String, value: String)]) throws -> [UInt8] {
        do {
            let bytes = try SmallFile.read(path, byteCountMax: YAMLReader.byteCountMax)
            var input = ConfigurationInput()
            input.file = (path, bytes)
            _ = try EffectiveConfiguration(input)
            let edited = try ConfigurationEdit.apply(changes, to: bytes)
            input.file = (path, edited)
            _ = try EffectiveConfiguration(input)
            return edited
        } catch let failure as FileFailure {
            complain("--write: \(path): \(failure.reason)")
        } catch let error as ConfigurationError {
            for problem in error.problems { complain("--write: \(problem)") }
        } catch let refusal as ConfigurationEdit.Refusal {
            complain("--write: \(path): \(refusal.reason)")
        }
        throw ExitCode.configuration
    }

    /// Into a file beside it, which then takes its name: who reads it meanwhile reads the old one
    /// or the new one.
    func write(_ changes: [(key: String, value: String)]) throws {
        let bytes = try changed(changes)
        var status = stat()
        guard stat(path, &status) == 0 else { throw failed(path) }
        var template = Array((path + ".XXXXXX").utf8CString)
        let file = mkstemp(&template)
        let beside = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard file >= 0 else { throw failed(beside) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { systemWrite(file, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        // The owner stays where this process may say so; the mode always does.
        _ = fchown(file, status.st_uid, status.st_gid)
        let isWritten =
            rest.isEmpty && fchmod(file, status.st_mode & 0o7777) == 0 && fsync(file) == 0
        guard close(file) == 0, isWritten, rename(beside, path) == 0 else {
            let failure = failed(beside)
            unlink(beside)
            throw failure
        }
        let said = changes.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        complain("\(path) has now \(said)")
    }

    private func failed(_ path: String) -> ExitCode {
        complain("--write: \(path) cannot be written: \(String(cString: strerror(errno)))")
        return .failure
    }
}
