import WeirFuzzing

/// libFuzzer's own loop: it calls `checkOne` with input after input and keeps those that reach new
/// branches. A trap ends it and leaves the input in a file.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ checkOne: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

var argumentCount = CommandLine.argc
var arguments = CommandLine.unsafeArgv
let status = runFuzzer(&argumentCount, &arguments) { start, count in
    let bytes = UnsafeBufferPointer(start: start, count: count)
    if let finding = FuzzInput(bytes)?.finding() { preconditionFailure(finding) }
    return 0
}
precondition(status == 0, "libFuzzer ended with status \(status)")
