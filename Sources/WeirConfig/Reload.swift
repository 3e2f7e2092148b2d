// What may change while the gateway runs.
extension EffectiveConfiguration {
    /// Why a newer configuration cannot take this one's place in the running process.
    package struct NeedsRestart: Error, Equatable, Sendable {
        /// The keys whose values differ and are read once, at start.
        package let keys: [String]
    }

    /// The keys whose values differ in `newer`.
    ///
    /// Reloadable are `log.level` and what stands under a table: both are looked up when they are
    /// needed. The set of tables is not, because queued records know their table by its number.
    ///
    /// - Throws: when one of them is not reloadable; then none is to be taken over.
    package func changes(to newer: EffectiveConfiguration) throws(NeedsRestart) -> [String] {
        var refused: [String] = []
        let isSameSet =
            configuration.tables.map(\.name) == newer.configuration.tables.map(\.name)
        if !isSameSet { refused.append("tables") }
        let known = Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
        let next = Dictionary(uniqueKeysWithValues: newer.entries.map { ($0.key, $0.value) })
        var changed: [String] = []
        for key in Set(known.keys).union(next.keys).sorted() {
            guard known[key] ?? nil != next[key] ?? nil else { continue }
            if key.hasPrefix("tables.") {
                if isSameSet { changed.append(key) }
            } else if key == "log.level" {
                changed.append(key)
            } else {
                refused.append(key)
            }
        }
        guard refused.isEmpty else { throw NeedsRestart(keys: refused.sorted()) }
        return changed
    }
}
