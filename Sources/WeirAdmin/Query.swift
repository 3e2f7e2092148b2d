import Hummingbird
import Weir
import WeirRecord

/// The query of a request, its parameters taken out one by one until those are left that choose.
struct Query {
    private(set) var rest: [(name: String, value: String)] = []

    init(_ request: Request) throws(Failure) {
        guard let text = request.uri.query else { return }
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let name = pair.prefix { $0 != UInt8(ascii: "=") }
            do throws(PercentText.Malformed) {
                let value = pair.dropFirst(name.count + 1)
                rest.append((try PercentText.text(name), try PercentText.text(value)))
            } catch {
                throw Failure(.invalidRequest, "the query is not percent-encoded UTF-8")
            }
        }
        var names: Set<String> = []
        for (name, _) in rest where !names.insert(name).inserted {
            throw Failure(.invalidRequest, "\"\(name.prefix(40))\" stands twice in the query")
        }
    }

    mutating func take(_ name: String) -> String? {
        guard let place = rest.firstIndex(where: { $0.name == name }) else { return nil }
        return rest.remove(at: place).value
    }

    mutating func limit(_ fallback: Int, max: Int) throws(Failure) -> Int {
        guard let text = take("limit") else { return fallback }
        guard let limit = Int(text), (1...max).contains(limit) else {
            throw Failure(.invalidRequest, "\"limit\" takes a number from 1 to \(max)")
        }
        return limit
    }

    mutating func cursor<Cursor>(_ read: (String) -> Cursor?) throws(Failure) -> Cursor? {
        guard let text = take("after") else { return nil }
        guard let cursor = read(text) else {
            throw Failure(.invalidRequest, "\"after\" takes what the page before had as \"next\"")
        }
        return cursor
    }
}
