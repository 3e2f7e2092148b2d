/// A table as the operator exposes it: `name` in schema `public`, or `schema.name`.
package struct TableName: Hashable, Sendable {
    package let schema: String
    package let name: String

    package init(_ text: String) {
        let parts = text.split(separator: ".", maxSplits: 1)
        schema = parts.count == 2 ? String(parts[0]) : "public"
        name = String(parts.last ?? "")
    }

    package var publicName: String { schema == "public" ? name : "\(schema).\(name)" }
}
