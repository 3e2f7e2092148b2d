import CPlatform
import Foundation
import Synchronization
import Testing
import WeirCore
import WeirHTTP

/// Where a busy event loop runs.
@Suite struct CoreAffinityTests {
    /// After observations in percent of the time, on core 0 of two.
    private func place(
        after seen: (ran: Int64, waited: Int64, othersIdle: Double)...
    ) -> CoreAffinity.Place {
        var affinity = CoreAffinity()
        for (ran, waited, idle) in seen {
            var observation = CoreAffinity.Observation(
                span: .milliseconds(100), ran: .milliseconds(ran), waited: .milliseconds(waited),
                core: 0)
            observation.idle = [0: 0.9, 1: idle]
            affinity.note(observation)
        }
        return affinity.place
    }

    @Test func whoHasLittleToDoRunsAnywhere() {
        #expect(place() == .anywhere)
        #expect(place(after: (70, 0, 0)) == .anywhere)
        #expect(place(after: (40, 40, 0.9)) == .anywhere)
    }

    @Test func whoIsBusyStays() {
        #expect(place(after: (71, 0, 0)) == .core(0))
        #expect(place(after: (71, 5, 0.9)) == .core(0))
        #expect(place(after: (75, 25, 0.15)) == .core(0))
    }

    @Test func whoWaitsGoesWhereThereIsRoom() {
        #expect(place(after: (80, 6, 0.16)) == .core(1))
        #expect(place(after: (71, 29, 0.9)) == .core(1))
    }

    @Test func whoWaitsForLongAndHasNowhereToGoIsTheKernelsToPlace() {
        #expect(place(after: (71, 26, 0.1)) == .anywhere)
        #expect(place(after: (71, 0, 0), (71, 26, 0.1)) == .anywhere)
    }

    @Test func whoWasBusyStaysUntilThereIsClearlyLessToDo() {
        #expect(place(after: (71, 0, 0), (61, 0, 0)) == .core(0))
        #expect(place(after: (71, 0, 0), (60, 0, 0)) == .anywhere)
        #expect(place(after: (71, 0, 0), (60, 0, 0), (65, 0, 0)) == .anywhere)
    }
}

#if os(Linux)
    /// The same with the calls that it takes, on this thread: no test here waits for anything, so
    /// that each runs on one thread to its end.
    @Suite(.serialized) struct LoopThreadTests {
        /// A thread, as far as it can be told what the kernel counts.
        private final class Scene {
            private(set) var cores = weir_cores()
            private var now = Timestamp.zero
            private var ran: Int64 = 0
            private var thread: LoopThread!

            init() {
                weir_get_cores(0, &cores)
                let facts = ThreadFacts(
                    times: { [unowned self] in (ran, 0) }, idle: { [:] },
                    threads: ThreadFacts.system.threads)
                thread = LoopThread(facts, now: now)
            }

            deinit { weir_set_cores(0, &cores) }

            /// The thread runs for as many percent of an interval; then it decides.
            func pass(running percent: Int64) {
                let span = CoreAffinity.interval
                now = now + span
                ran += span.count * percent / 100
                thread.review(now: now)
            }

            var current: weir_cores {
                var current = weir_cores()
                weir_get_cores(0, &current)
                return current
            }

            func isOnOneCore() -> Bool { isOneCore(current) }

            func isOneCore(_ cores: weir_cores) -> Bool {
                (0..<Int32(weir_cores_max)).contains { areEqual(cores, weir_one_core($0)) }
            }

            func areEqual(_ left: weir_cores, _ right: weir_cores) -> Bool {
                withUnsafePointer(to: left) { left in
                    withUnsafePointer(to: right) { weir_are_equal(left, $0) == 1 }
                }
            }
        }

        /// A thread that was begun by the one that makes this.
        private final class Heir: Sendable {
            private let asked = DispatchSemaphore(value: 0)
            private let answered = DispatchSemaphore(value: 0)
            private let cores = Mutex(weir_cores())

            init() {
                Thread.detachNewThread { [self] in
                    for _ in 0..<2 {
                        asked.wait()
                        cores.withLock { _ = weir_get_cores(0, &$0) }
                        answered.signal()
                    }
                }
            }

            /// Where it may run. To be asked twice; then it ends.
            func ask() -> weir_cores {
                asked.signal()
                answered.wait()
                return cores.withLock { $0 }
            }
        }

        @Test func aBusyThreadStaysAndAnIdleOneMayGoAnywhere() {
            let scene = Scene()
            scene.pass(running: 90)
            #expect(scene.isOnOneCore())
            scene.pass(running: 90)
            #expect(scene.isOnOneCore())
            scene.pass(running: 10)
            #expect(scene.areEqual(scene.current, scene.cores))
        }

        @Test func whatSomebodyElseHasSetIsKept() {
            let scene = Scene()
            scene.pass(running: 90)
            let chosen = scene.current
            let others = (0..<Int32(weir_cores_max)).filter { core in
                withUnsafePointer(to: scene.cores) { weir_has_core($0, core) == 1 }
                    && !scene.areEqual(chosen, weir_one_core(core))
            }
            // On a machine with one core there is nothing to set.
            guard let other = others.first else { return }
            var set = weir_one_core(other)
            #expect(weir_set_cores(0, &set) == 1)
            for percent: Int64 in [10, 90, 10] {
                scene.pass(running: percent)
                #expect(scene.areEqual(scene.current, set))
            }
        }

        @Test func aThreadThatABusyOneBeginsMayGoAnywhere() {
            let scene = Scene()
            scene.pass(running: 90)
            let heir = Heir()
            #expect(scene.isOneCore(heir.ask()))
            scene.pass(running: 90)
            #expect(scene.areEqual(heir.ask(), scene.cores))
            #expect(scene.isOnOneCore())
        }

        @Test func theKernelCounts() throws {
            let before = try #require(ThreadFacts.system.times())
            var sum = 0
            repeat {
                for number in 0..<1_000_000 { sum &+= number ^ sum }
            } while try #require(ThreadFacts.system.times()).ran == before.ran
            #expect(sum != 0)
            #expect(!ThreadFacts.system.idle().isEmpty)
        }
    }
#endif
