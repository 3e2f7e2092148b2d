import Crypto

/// One step from an older schema to a newer one: a file of SQL in a transaction of its own.
package struct Migration: Sendable, Equatable {
    /// 1, 2, 3 and so on, without a gap.
    package let number: Int
    /// `0001_replay`: the file's name without its ending.
    package let name: String
    package let sql: String
    /// SHA-256 of the file in hexadecimal: a file that has been applied somewhere never changes.
    package let checksum: String

    package init(number: Int, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
        let digits = Array("0123456789abcdef")
        checksum = String(
            SHA256.hash(data: Array(sql.utf8)).flatMap { byte in
                [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            })
    }

    fileprivate init(_ number: Int, _ name: String, _ bytes: [UInt8]) {
        self.init(number: number, name: name, sql: String(decoding: bytes, as: UTF8.self))
    }
}

/// All migrations, in their order, as they were when this was built.
package enum Migrations {
    package static let all = [
        Migration(1, "0001_replay", PackageResources._001_replay_sql),
        Migration(2, "0002_dead_letter", PackageResources._002_dead_letter_sql),
        Migration(3, "0003_redrive", PackageResources._003_redrive_sql),
    ]
}
