#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Reads files that an operator wrote: a configuration, a password.
package enum SmallFile {
    /// - Throws: why not, without the path.
    package static func read(_ path: String, byteCountMax: Int) throws(FileFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileFailure(errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFailure(errno) }
        // A pipe or a device might never end, and a folder cannot be read.
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileFailure("it is no regular file") }
        var bytes: [UInt8] = []
        while true {
            var chunk = [UInt8](repeating: 0, count: 16 << 10)
            let count = chunk.withUnsafeMutableBytes {
                Self.read(descriptor, $0.baseAddress, $0.count)
            }
            guard count >= 0 else {
                if errno == EINTR { continue }
                throw FileFailure(errno)
            }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= byteCountMax else {
                throw FileFailure("it is larger than \(byteCountMax) bytes")
            }
        }
    }

    private static func read(
        _ descriptor: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int
    ) -> Int {
        #if canImport(Glibc)
            Glibc.read(descriptor, start, count)
        #else
            Darwin.read(descriptor, start, count)
        #endif
    }
}

package struct FileFailure: Error, Equatable, Sendable {
    package let reason: String

    init(_ reason: String) { self.reason = reason }

    init(_ code: Int32) { self.init(String(cString: strerror(code))) }
}
