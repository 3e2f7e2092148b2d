import Foundation
import WeirRecord

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Times how records become typed columns: nanoseconds of CPU per record, as one line of JSON.
///
/// The sides take turns, so that what slows the machine down for a while slows down all of them.
struct Side {
    var name: String
    var decode: () throws -> Int
    var rounds: [Double] = []
}

func own(_ text: [UInt8], _ table: TableSchema) -> () throws -> Int {
    {
        var decoder = RecordDecoder(
            table: table, options: WriteOptions(.insert), expectedByteCount: text.count)
        var cursor = JSONCursor(0..<text.count)
        try decoder.takeObject(&cursor, text.span)
        try cursor.expectEnd(text.span)
        return try decoder.finish().byteCount
    }
}

/// What a record with a message ID costs besides.
func fingerprint(_ text: [UInt8], _ table: TableSchema) -> () throws -> Int {
    {
        var print = Fingerprint(table, .insert, rule: nil, version: nil)
        var cursor = JSONCursor(0..<text.count)
        try print.takeData(&cursor, text.span)
        return Int(truncatingIfNeeded: print.value >> 1) | 1
    }
}

/// The grammar alone: nothing is made of what is read.
func grammar(_ text: [UInt8]) -> () throws -> Int {
    {
        var cursor = JSONCursor(0..<text.count)
        try cursor.skipValue(text.span)
        try cursor.expectEnd(text.span)
        return cursor.position
    }
}

func cpuNanoseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

// For the parsers in other languages: the records as files, and nothing measured.
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "--write" {
    let folder = URL(fileURLWithPath: CommandLine.arguments[2])
    try Data(Samples.small).write(to: folder.appendingPathComponent("small.json"))
    try Data(Samples.large).write(to: folder.appendingPathComponent("large.json"))
    exit(0)
}

let small = Data(Samples.small)
let large = Data(Samples.large)
let decoder = JSONDecoder()
var sides = [
    Side(name: "own small", decode: own(Samples.small, Samples.orders)),
    Side(name: "grammar small", decode: grammar(Samples.small)),
    Side(name: "fingerprint small", decode: fingerprint(Samples.small, Samples.orders)),
    Side(name: "JSONSerialization small") { try FoundationReaders.serialization(small) },
    Side(name: "JSONDecoder small") { try FoundationReaders.decoder(decoder, small) },
    Side(name: "own large", decode: own(Samples.large, Samples.orders)),
    Side(name: "grammar large", decode: grammar(Samples.large)),
    Side(name: "fingerprint large", decode: fingerprint(Samples.large, Samples.orders)),
    Side(name: "JSONSerialization large") { try FoundationReaders.serialization(large) },
    Side(name: "JSONDecoder large") { try FoundationReaders.decoder(decoder, large) },
    Side(name: "plain", decode: own(Samples.issue, Samples.plain)),
    Side(name: "declared", decode: own(Samples.issue, Samples.declared)),
]
let roundCount = CommandLine.arguments.dropFirst().first.flatMap(Int.init) ?? 15
let roundNanoseconds = 5e7

var counts: [Int] = []
for side in sides {
    // Warms up, and finds how many records make a round.
    let start = cpuNanoseconds()
    var count = 0
    while cpuNanoseconds() - start < roundNanoseconds {
        let size = try side.decode()
        precondition(size > 0, "the record was not understood")
        count += 1
    }
    counts.append(count)
}
for _ in 0..<roundCount {
    for index in sides.indices {
        let start = cpuNanoseconds()
        for _ in 0..<counts[index] { _ = try sides[index].decode() }
        sides[index].rounds.append((cpuNanoseconds() - start) / Double(counts[index]))
    }
}
let medians = sides.map { "\"\($0.name)\": \($0.rounds.sorted()[roundCount / 2].rounded())" }
let sizes =
    "\"bytes small\": \(small.count), \"bytes large\": \(large.count)"
    + ", \"bytes issue\": \(Samples.issue.count)"
print("{\(medians.joined(separator: ", ")), \(sizes)}")
