import WeirCore
import WeirTesting

/// What kind of world a seed stands for: how many of each, their bounds, and which faults come how
/// often. The bounds are tiny, so that a short history meets all of them.
struct WorldPlan {
    var machine = Machine.Configuration()
    var gatewayCount = 2
    var writerCount = 2
    var replayRecordsMax = 0
    var callerCount = 1
    var unitCount = 0
    var keyCount = 1
    /// Faults, one by one.
    var faults: [Fault] = []
    /// Of 1,000 turns, how many bring a fault.
    var faultRate = 0
    /// Of 100 units: groups, and those that hold records without a message ID.
    var groups = 0
    var anonymous = 0
    var bad = 0
    var twins = 0
    var disconnects = 0
    /// Deadlines are short.
    var isHurried = false
    /// Statements stop after so many rows.
    var rowsPerStep = Int.max
    /// Old message IDs are forgotten as often as can be.
    var isForgetful = false
    var lockTimeout = Nanoseconds.milliseconds(50)

    init(random: inout SplitMix64) {
        gatewayCount = random.chance(70) ? 2 : 1 + random.below(3)
        writerCount = 1 + random.below(3)
        machine.writersMax = writerCount
        machine.batch.recordsMax = 4 + random.below(6)
        machine.batch.lingerMax = .microseconds(random.below(2_000))
        machine.admission.recordsMax = 16 + random.below(60)
        machine.retry.attemptsMax = 2 + random.below(6)
        machine.retry.delayMax = .milliseconds(2 + random.below(20))
        machine.retry.inquiryDelayMax = .milliseconds(10 + random.below(100))
        machine.poison.rowMax = random.chance(30) ? 1 + random.below(3) : 20
        replayRecordsMax = random.chance(30) ? 0 : 1 + random.below(40)
        callerCount = 2 + random.below(4)
        unitCount = 12 + random.below(28)
        keyCount = 1 + random.below(5)
        faultRate = random.chance(10) ? 0 : 5 + random.below(40)
        groups = random.below(30)
        anonymous = random.below(40)
        bad = random.chance(70) ? random.below(15) : 0
        twins = random.below(30)
        disconnects = random.below(10)
        isHurried = random.chance(25)
        isForgetful = random.chance(20)
        rowsPerStep = random.chance(50) ? 1 : .max
        lockTimeout = .milliseconds(Int64(5 + random.below(60)))
        if isForgetful {
            // Calm enough for connections that sleep through it.
            faultRate /= 5
            unitCount += 20
            twins = 40
            callerCount = 2
        }
        let share = 10 + random.below(90)
        faults = Fault.allCases.filter { _ in random.chance(share) }
    }
}

/// What goes wrong.
enum Fault: Int, CaseIterable {
    /// The connection breaks, and only a part of what was sent arrives.
    case cutBefore
    /// It breaks when everything has arrived, and no answer comes back.
    case cutAfter
    /// It breaks, and the server does not notice for a while.
    case cutUnnoticed
    case terminate
    case cancel
    case serializationFailure
    case outOfMemory
    case tableRefused
    /// Somebody between gateway and server rolls the transaction back.
    case rolledBackUnseen
    case serverCrash
    case failover
    case gatewayKill
    case gatewayFreeze
    case rotation
    /// An application locks tables for a while, in an order of its own.
    case tableLock
    /// No connection can be had.
    case connectionsRefused
}

/// What has to happen in some seed or other, or the seeds prove nothing of it.
package enum Occurrence: Int, CaseIterable, Sendable {
    case cutBefore, cutAfter, cutUnnoticed, terminate, cancel, serializationFailure, outOfMemory
    case tableRefused, rolledBackUnseen, serverCrash, failover, gatewayKill, gatewayFreeze
    case rotation, tableLock, connectionsRefused
    case lockTimeout, deadlock, zombieCommitted, zombieFenced, commitLostByFailover
    case committed, joined, replayedFromWindow, replayedFromDatabase, messageReused
    case unknown, resolvedCommitted, resolvedLost, resolvedForgotten, inquiryWaited
    case zombieTerminated, toldUnknown
    case halved, rejected, deadLettered, groupCommitted, groupRolledBack, orderBlocked
    case tablePaused, oldVersionIgnored, disconnected, deadlineExceeded, retriesExhausted
    case generationClosed, seamReplay, oldPrimaryRefused, oldPrimaryOutdated, disowned
}
