/// What PostgreSQL's catalog said of a table when its definition was read, as far as a statement
/// has to find it unchanged: values encoded for one type must not be converted to another, and a
/// key must still name one row.
package struct CatalogPlace: Sendable, Equatable {
    /// One column: `pg_attribute.atttypid`, `atttypmod`, `attcollation`, and `attnotnull` with
    /// `atthasdef`.
    package struct Column: Sendable, Equatable {
        package let type: UInt32
        package let modifier: Int32
        package let collation: UInt32
        package let isNotNull: Bool
        package let hasDefault: Bool

        package init(
            type: UInt32, modifier: Int32, collation: UInt32, isNotNull: Bool, hasDefault: Bool
        ) {
            self.type = type
            self.modifier = modifier
            self.collation = collation
            self.isNotNull = isNotNull
            self.hasDefault = hasDefault
        }

        /// Of a column that is not there: no column is like it.
        package static let none = Column(
            type: 0, modifier: 0, collation: 0, isNotNull: false, hasDefault: false)
    }

    /// By the columns' positions in their table's schema.
    package let columns: [Column]
    /// `pg_index.indkey` of the primary key, as text; `nil` without one.
    package let key: String?

    package init(columns: [Column], key: String?) {
        self.columns = columns
        self.key = key
    }
}
