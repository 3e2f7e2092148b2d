import ArgumentParser

/// What a command's exit says; the numbers are part of the contract (sysexits.h where it has one).
extension ExitCode {
    static let unreachable = ExitCode(69)
    static let temporary = ExitCode(75)
    static let configuration = ExitCode(78)
    /// A bound that the caller set was not kept, as k6 has it.
    static let threshold = ExitCode(99)
    static let interrupted = ExitCode(130)
    /// Measured, but the figures are those of the harness itself.
    static let void = ExitCode(3)
}

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One line for people, on standard error.
func complain(_ text: String) {
    let line = Array("weir: \(text)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
}
