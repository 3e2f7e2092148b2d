import WeirRecord
import WeirTesting

/// The records of a world, decoded from JSON as the data API would.
enum WorldRecords {
    static func appended(_ table: WorldTable, _ row: [Int], id: Int?) -> Record {
        decoded(
            #"{"k":\#(row[0]),"m":\#(row[1]),"v":\#(row[2])}"#, table, WriteOptions(.insert),
            id: id)
    }

    static func row(_ operation: Operation, _ row: [Int], id: Int) -> Record {
        let key = #""id":\#(row[0])"#
        let writer = #""m":\#(row[2])"#
        var options = WriteOptions(operation)
        let json: String
        switch operation {
        case .insert: json = "{\(key),\(writer)}"
        case .patch: json = "{\(key),\(writer)}"
        case .delete: json = "{\(key)}"
        case .upsert:
            options.versionColumn = WorldTable.version
            json = #"{\#(key),"version":\#(row[1]),\#(writer)}"#
        }
        return decoded(json, .rows, options, id: id)
    }

    private static func decoded(
        _ json: String, _ table: WorldTable, _ options: WriteOptions, id: Int?
    ) -> Record {
        do {
            return try Record.decoded(
                json, for: table.table, options, messageID: id.map { "message-\($0)" })
        } catch {
            preconditionFailure("the world's own record is malformed: \(json): \(error.detail)")
        }
    }
}
