import WeirCore

/// What kind of history a seed stands for: the machine's bounds, and how often each thing happens.
/// The bounds are tiny, so that a short history meets all of them.
struct SimulationPlan {
    var configuration = Machine.Configuration()
    var steps = 0
    var keyCount = 1
    /// Keys are multiples of two to this power: with many, their hashes begin alike.
    var keyShift = 0
    var tableCount = 1
    /// Attempts with more records than this run into the statement timeout, every time.
    var heavyCount = Int.max
    /// The connections are lost before the drain and do not come back.
    var endsWithoutDatabase = false

    // Chances in percent.
    var keyless = 0
    var withMessage = 0
    var exclusive = 0
    var poison = 0
    var transient = 0
    var unknown = 0
    /// COMMIT is not answered, and it can be found out what became of it.
    var unresolved = 0
    /// An inquiry brings nothing.
    var deaf = 0
    /// It brings that nobody can know any more.
    var forgotten = 0
    /// A second key.
    var doublyOrdered = 0
    /// An error names a record, the right one mostly.
    var suspicion = 0
    /// Tables whose refused records become dead letters, and tables that are strict.
    var keepsDeadLetters: [Bool] = []
    var isStrict: [Bool] = []
    /// The drain takes longer than it may.
    var isAbandoned = false

    init(random: inout SplitMix64) {
        configuration.writersMax = 1 + random.below(4)
        configuration.seed = random.next()
        configuration.batch.recordsMax = 1 + random.below(8)
        configuration.batch.bytesMax = 200 + random.below(1_000)
        configuration.batch.lingerMax = .microseconds(random.below(6_000))
        configuration.admission.recordsMax = 4 + random.below(40)
        configuration.admission.bytesMax = 500 + random.below(8_000)
        configuration.retry.attemptsMax = 1 + random.below(4)
        configuration.retry.delayMax = .milliseconds(2 + random.below(50))
        configuration.retry.inquiryDelayMax = .milliseconds(10 + random.below(500))
        steps = 100 + random.below(400)
        keyCount = 1 + random.below(12)
        keyShift = random.below(3) * 20
        tableCount = 1 + random.below(3)
        heavyCount = random.chance(25) ? 1 + random.below(4) : .max
        endsWithoutDatabase = random.chance(25)
        keyless = random.below(50)
        withMessage = random.below(100)
        exclusive = random.below(10)
        poison = random.below(20)
        transient = random.below(40)
        unknown = random.below(10)
        unresolved = random.below(25)
        deaf = random.below(60)
        forgotten = random.chance(20) ? random.below(30) : 0
        doublyOrdered = random.below(30)
        suspicion = random.below(100)
        for _ in 0..<tableCount {
            keepsDeadLetters.append(random.chance(40))
            isStrict.append(random.chance(40))
        }
        configuration.poison.rowMax = random.chance(50) ? 1 + random.below(3) : 20
        configuration.poison.countMin = 10 + random.below(100)
        configuration.poison.percentMax = 5 + random.below(90)
        isAbandoned = random.chance(15)
    }
}

extension Entry {
    /// What it is ordered by.
    var keys: [UInt64] { [orderHash, orderKeyHash].compactMap { $0 } }
}

extension SplitMix64 {
    /// Uniform enough in 0 ..< `bound`; the same on every platform and toolchain.
    package mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "there is a number below the bound")
        return Int(next() % UInt64(bound))
    }

    package mutating func chance(_ percent: Int) -> Bool {
        below(100) < percent
    }

    package mutating func element<Element>(of elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }
}
