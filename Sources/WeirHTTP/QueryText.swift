import Weir
import WeirRecord

/// The query of a request's target: the part behind `?`, as `name=value` joined by `&`.
enum QueryText {
    /// The value of a parameter, its percent-encoding resolved; the last one where it stands twice,
    /// and `nil` where it does not stand at all.
    static func value(of name: StaticString, in target: String) throws(Defect) -> String? {
        // Most targets have none.
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        let query = target.utf8[target.utf8.index(after: mark)...]
            .prefix { $0 != UInt8(ascii: "#") }
        var found: String?
        for pair in query.split(separator: UInt8(ascii: "&")) {
            let key = pair.prefix { $0 != UInt8(ascii: "=") }
            guard key.elementsEqual(name.description.utf8) else { continue }
            do {
                found = try PercentText.text(pair.dropFirst(key.count + 1))
            } catch {
                throw Defect(
                    .invalidRequest, "the parameter \(name) is not percent-encoded UTF-8")
            }
        }
        return found
    }
}
