import Weir

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A raw HTTP/1.1 client over a blocking socket, on a thread of its own: it sends the bytes that a
/// test says, well-formed or not, and reads what comes back.
actor Client {
    struct Response: Equatable, Sendable {
        var status: Int
        var headers: [String: String]
        var body: String

        /// A string member of the body, found without parsing: `"code":"…"`.
        func member(_ name: String) -> String? {
            guard let start = body.firstRange(of: "\"\(name)\":\"") else { return nil }
            return String(body[start.upperBound...].prefix { $0 != "\"" })
        }
    }

    /// The server closed the connection.
    struct Closed: Error {}

    /// What came is no answer.
    struct Nonsense: Error {}

    /// The server neither said anything nor closed the connection.
    struct Silence: Error {}

    private let executor: BlockingExecutor
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    init(port: Int) throws {
        executor = BlockingExecutor(label: "client")
        descriptor = try Self.connected(AF_INET) { socket in
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port).bigEndian)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }

    init(path: String) throws {
        executor = BlockingExecutor(label: "client")
        descriptor = try Self.connected(AF_UNIX) { socket in
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { place in
                for (index, byte) in path.utf8.enumerated() { place[index] = byte }
            }
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
    }

    deinit {
        close(descriptor)
    }

    private static func connected(_ family: Int32, _ connect: (Int32) -> Int32) throws -> Int32 {
        #if canImport(Glibc)
            let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let descriptor = socket(family, SOCK_STREAM, 0)
        #endif
        // No test waits for ever: what does not come within 20 s does not come.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard connect(descriptor) == 0 else {
            close(descriptor)
            throw Closed()
        }
        return descriptor
    }

    // MARK: Requests

    /// Sends one request and reads its answer.
    func request(
        _ method: String, _ target: String, _ body: String = "",
        headers: [String: String] = ["Content-Type": "application/json"]
    ) throws -> Response {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: test\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            text += "\(name): \(value)\r\n"
        }
        text += "Content-Length: \(body.utf8.count)\r\n\r\n"
        try send(Array(text.utf8) + Array(body.utf8))
        return try response()
    }

    /// Sends bytes as they are.
    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw Closed() }
            sent += count
        }
    }

    func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    /// Sends no more; the server sees the end of what was sent.
    func finishSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Goes away without a word, as a process that is killed.
    func reset() {
        var atOnce = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    // MARK: Answers

    /// The head of an answer that has no body, whatever its head says.
    func headOnly() throws -> Response {
        var lines = try readHead()
        let words = lines.removeFirst().split(separator: " ")
        guard words.count > 1, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw Nonsense()
        }
        var headers: [String: String] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(
                line[line.index(after: colon)...].dropFirst())
        }
        return Response(status: status, headers: headers, body: "")
    }

    func response() throws -> Response {
        let head = try headOnly()
        let (status, headers) = (head.status, head.headers)
        var body: [UInt8] = []
        if headers["transfer-encoding"] == "chunked" {
            while true {
                let size = Int(try readLine(), radix: 16) ?? 0
                body += try read(size)
                _ = try readLine()
                if size == 0 { break }
            }
        } else if status != 204 && status != 100 {
            body = try read(Int(headers["content-length"] ?? "0") ?? 0)
        }
        return Response(
            status: status, headers: headers, body: String(decoding: body, as: UTF8.self))
    }

    /// Whether the server closes the connection, after what it still has to say.
    func isClosedByServer() -> Bool {
        while true {
            do {
                try fill()
            } catch {
                return error is Closed
            }
        }
    }

    private func readHead() throws -> [String] {
        var lines: [String] = []
        while true {
            let line = try readLine()
            if line.isEmpty { return lines }
            lines.append(line)
        }
    }

    private func readLine() throws -> String {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = buffer[..<end].filter { $0 != 0x0D }
                buffer.removeSubrange(...end)
                return String(decoding: line, as: UTF8.self)
            }
            try fill()
        }
    }

    private func read(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { try fill() }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    private func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) { throw Silence() }
        guard count > 0 else { throw Closed() }
        buffer += chunk[..<count]
    }
}
