#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Folders of /proc whose entries are numbers: processes, and the threads of one.
package enum ProcFolder {
    /// - Returns: nothing where there is no such folder.
    package static func numbers(_ path: String) -> [Int32] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var numbers: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let number = Int32(name) { numbers.append(number) }
        }
        return numbers
    }
}
