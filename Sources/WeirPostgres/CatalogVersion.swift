import Synchronization

/// Numbers the definitions that have been read, so that statements for an old one are not used for
/// a new one.
enum CatalogVersion {
    private static let last = Atomic<Int>(0)

    static func next() -> Int {
        last.wrappingAdd(1, ordering: .relaxed).newValue
    }
}
