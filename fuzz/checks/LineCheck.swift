import Logging
import Weir
import WeirCore
import WeirHTTP
import WeirRecord

/// A line of `/v1/bulk` means the same whatever lines came before it, in whatever order its members
/// stand, and its data mean what they mean alone.
enum LineCheck {
    static func finding(line: [UInt8]) -> String? {
        let fresh = read(line, BulkLine.Tables(plane))
        for before in usual {
            var tables = BulkLine.Tables(plane)
            let range = 0..<before.count
            guard (try? BulkLine(before.span, range, tables: &tables)) != nil else {
                return "the usual line is refused"
            }
            let after = read(line, tables)
            if !isSame(fresh, after) { return "another line before it changes what it means" }
        }
        guard case .success = fresh, !JSONCheck.isJSON(line) else { return nil }
        return "a line that is no JSON"
    }

    static func finding(data: [UInt8]) -> String? {
        let alone = RecordCheck.decode(data, FuzzTables.mixed)
        let first = read(
            Array(#"{"op":"insert","table":"mixed","data":"#.utf8) + data + [0x7D],
            BulkLine.Tables(plane))
        let last = read(
            Array(#"{"data":"#.utf8) + data + Array(#","op":"insert","table":"mixed"}"#.utf8),
            BulkLine.Tables(plane))
        // What ends the data within may end the line, too; then they are other data.
        guard JSONCheck.isJSON(data) else {
            if case .success = alone { return "data that are no JSON" }
            return nil
        }
        if !isSame(alone, first) { return "in a line the data mean something else" }
        if !isSame(first, last) { return "the order of the members changes what they mean" }
        return nil
    }

    private static let usual = [
        #"{"op":"insert","table":"mixed","data":{"id":1}}"#,
        #"{"table":"mixed","op":"upsert","data":{"id":1,"note":"a"}}"#,
        #"{ "op" : "delete" , "table" : "mixed" , "key" : {"id":1}}"#,
    ].map { Array($0.utf8) }

    /// What every connection works with: nothing is ever submitted to it.
    private static let plane: DataPlane = {
        let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        let coordinator = Coordinator(
            machine: Machine.Configuration(), time: SystemTime(), logger: logger)
        coordinator.catalogLoaded(Catalog([.found(FuzzTables.mixed)]))
        return DataPlane(
            coordinator: coordinator, configuration: ServerConfiguration(), logger: logger)
    }()

    private static func read(
        _ line: [UInt8], _ tables: BulkLine.Tables
    ) -> Result<Record, Defect> {
        var tables = tables
        do {
            let line = try BulkLine(
                line.span, 0..<line.count, tables: &tables)
            return .success(line.record)
        } catch let defect as Defect {
            return .failure(defect)
        } catch let failure as Failure {
            return .failure(Defect(failure.code, failure.detail))
        } catch {
            preconditionFailure("a line throws nothing else: \(error)")
        }
    }

    /// Places in texts differ with the text round them, so that details are not compared.
    private static func isSame(_ left: Result<Record, Defect>, _ right: Result<Record, Defect>)
        -> Bool
    {
        switch (left, right) {
        case (.success(let left), .success(let right)):
            RecordCheck.fields(left) == RecordCheck.fields(right)
                && left.options.operation == right.options.operation
                && left.messageID == right.messageID && left.orderHash == right.orderHash
        case (.failure(let left), .failure(let right)):
            left.code == right.code && left.sqlstate == right.sqlstate
        default: false
        }
    }
}
