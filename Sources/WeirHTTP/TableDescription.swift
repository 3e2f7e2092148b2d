import Weir
import WeirRecord

/// What can be written: `GET /v1/tables` and `GET /v1/tables/{table}`.
enum TableDescription {
    static func list(_ plane: DataPlane) -> [UInt8] {
        var body = Array("{\"tables\":[".utf8)
        for (index, schema) in (plane.coordinator.catalogStore.catalog?.found ?? []).enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body += json(schema, plane)
        }
        body += "]}".utf8
        return body
    }

    static func json(_ schema: TableSchema, _ plane: DataPlane) -> [UInt8] {
        var body = Array("{\"table\":".utf8)
        appendJSONString(schema.publicName, to: &body)
        body += ",\"schema\":".utf8
        appendJSONString(schema.schemaName, to: &body)
        body += ",\"key\":[".utf8
        appendList(schema.primaryKey.map { schema.columns[$0].name }, to: &body)
        body += "],\"operations\":[".utf8
        let operations = WeirRecord.Operation.allCases.filter {
            schema.policy.operations.contains($0) && (!schema.primaryKey.isEmpty || $0 == .insert)
        }
        appendList(operations.map(\.rawValue), to: &body)
        body += "],\"columns\":[".utf8
        for (index, column) in schema.columns.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            append(column, isRequired: schema.requiredColumns.contains(index), to: &body)
        }
        let limits = plane.configuration
        body += "]".utf8
        appendID(schema, to: &body)
        body += ",\"on_reject\":\"\(schema.policy.onReject.rawValue)\"".utf8
        body += ",\"order\":\"\(schema.policy.order.rawValue)\"".utf8
        append("order_key", schema.orderKeyColumn, of: schema, to: &body)
        append("version_column", schema.versionColumn, of: schema, to: &body)
        body += ",\"limits\":{\"record_bytes\":\(limits.recordByteCountMax),".utf8
        body += "\"body_bytes\":\(limits.bodyByteCountMax),".utf8
        body += "\"records_per_request\":\(limits.recordsPerRequestMax)}}".utf8
        return body
    }

    private static func append(
        _ name: String, _ column: Int?, of schema: TableSchema, to body: inout [UInt8]
    ) {
        guard let column else { return }
        body += ",\"\(name)\":".utf8
        appendJSONString(schema.columns[column].name, to: &body)
    }

    private static func appendID(_ schema: TableSchema, to body: inout [UInt8]) {
        guard let id = schema.policy.id else { return }
        body += ",\"id\":{\"column\":".utf8
        appendJSONString(id.column, to: &body)
        body += ",\"type\":\"\(id.form.rawValue)\"".utf8
        if !id.prefix.isEmpty { body += ",\"prefix\":\"\(id.prefix)\"".utf8 }
        body += "}".utf8
    }

    private static func append(
        _ column: Column, isRequired: Bool, to body: inout [UInt8]
    ) {
        body += "{\"name\":".utf8
        appendJSONString(column.name, to: &body)
        body += ",\"type\":".utf8
        appendJSONString(column.typeName, to: &body)
        body += ",\"nullable\":\(column.isNullable),\"has_default\":\(column.hasDefault)".utf8
        body += ",\"writable\":\(column.isWritable),\"required\":\(isRequired),\"json\":".utf8
        appendJSONString(column.declaredID?.jsonForm ?? column.type.jsonForm, to: &body)
        body += ",\"schema\":".utf8
        ColumnSchema(column).append(to: &body)
        body += "}".utf8
    }

    private static func appendList(_ names: [String], to body: inout [UInt8]) {
        for (index, name) in names.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            appendJSONString(name, to: &body)
        }
    }
}
