/// Which lane has this ordering key? An open-addressing table from key hashes to lane numbers; the
/// hashes are good ones and are not hashed again. It grows with the keys that are held at once and
/// never iterates, so it is the same in every process.
struct LaneDirectory: Sendable {
    private struct Place {
        var hash: UInt64 = 0
        var lane: Int32 = -1
    }

    private var places = Array(repeating: Place(), count: 64)
    private var count = 0

    private var mask: Int { places.count - 1 }

    private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash) & mask }

    func lane(_ hash: UInt64) -> Int32? {
        var at = home(hash)
        while places[at].lane >= 0 {
            if places[at].hash == hash { return places[at].lane }
            at = (at + 1) & mask
        }
        return nil
    }

    /// Adds a key that is not there.
    mutating func insert(_ hash: UInt64, _ lane: Int32) {
        if (count + 1) * 2 > places.count { grow() }
        count += 1
        place(hash, lane)
    }

    /// Removes a key that is there. What its place held back moves up (Knuth, volume 3, 6.4,
    /// algorithm R), so that no mark is left behind.
    mutating func remove(_ hash: UInt64) {
        var hole = home(hash)
        while places[hole].hash != hash || places[hole].lane < 0 { hole = (hole + 1) & mask }
        count -= 1
        var at = hole
        while true {
            at = (at + 1) & mask
            guard places[at].lane >= 0 else { break }
            // How far each is from where it wants to be.
            let isReachable = (at - home(places[at].hash)) & mask >= (at - hole) & mask
            if isReachable {
                places[hole] = places[at]
                hole = at
            }
        }
        places[hole].lane = -1
    }

    private mutating func place(_ hash: UInt64, _ lane: Int32) {
        var at = home(hash)
        while places[at].lane >= 0 { at = (at + 1) & mask }
        places[at] = Place(hash: hash, lane: lane)
    }

    private mutating func grow() {
        let old = places
        places = Array(repeating: Place(), count: old.count * 2)
        for entry in old where entry.lane >= 0 { place(entry.hash, entry.lane) }
    }
}
