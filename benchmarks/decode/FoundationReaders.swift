import Foundation

/// The same records through Foundation, as near to typed columns as it gets.
enum FoundationReaders {
    /// A dictionary, its values taken out by type; the document is written out again.
    static func serialization(_ text: Data) throws -> Int {
        guard let object = try JSONSerialization.jsonObject(with: text) as? [String: Any],
            let id = object["id"] as? Int, let customer = object["customer_id"] as? Int,
            let quantity = object["qty"] as? Int, let note = object["note"] as? String
        else { return 0 }
        var bytes: [UInt8] = []
        for number in [id, customer, quantity] {
            withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
        }
        bytes.append(contentsOf: note.utf8)
        if let attributes = object["attributes"] {
            bytes.append(contentsOf: try JSONSerialization.data(withJSONObject: attributes))
        }
        return bytes.count
    }

    private struct Order: Decodable {
        var id: Int64
        var customer_id: Int32
        var qty: Int32
        var note: String
        var attributes: Attributes?
    }

    private struct Attributes: Decodable {
        var lines: [Line]
    }

    private struct Line: Decodable {
        var sku: String
        var qty: Int
        var price: Decimal
        var tags: [String]
        var gift: Bool
    }

    /// A structure of known members. The document stays a structure: it would have to be written
    /// out again.
    static func decoder(_ decoder: JSONDecoder, _ text: Data) throws -> Int {
        try decoder.decode(Order.self, from: text).note.utf8.count
    }
}
