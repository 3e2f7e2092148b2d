/// The table that `weir serve --embedded` has when nothing else is asked for.
enum Demo {
    static let table = "orders"

    /// Compiled in from Demo/orders.sql.
    static var sql: String { String(decoding: PackageResources.orders_sql, as: UTF8.self) }
}
