"""The gateway's process dies, stops or has a twin."""

from __future__ import annotations

import signal
import threading
import time

from harness.proxy import CUT
from harness.wire import Point
from harness.round import Round
from harness.rows import BOTH, row

# Socket sends to the database up to which F-02 kills; most lie before the thousandth record.
SENDS = 200
# Of what comes for t_dead less than a twentieth is bad, or the gateway takes it for the table's fault.
POISON_MIX = {
    "append": 200, "dead": 400, "tick": 60, "upsert": 60, "poison": 80, "poison_dead": 16,
    "burst": 60, "pair": 40, "again": 60,
}


@row("F-01", "kill -9 the gateway under load, and start it again", unknown=BOTH,
     unknown_from="callers", at_least={"kills": 3, "straddled": 1}, selected=1)
def kill(r: Round) -> None:
    r.begin()
    r.load(r.seconds + 1.5)
    r.wait_for_traffic(20)
    r.straddle(r.kill_gateway)
    r.fire("kills")
    r.start_gateway(r.gateway)
    for _ in range(2):
        r.pause(0.1, 0.6)
        r.kill_gateway()
        r.fire("kills")
        r.pause(0, 0.1)
        r.start_gateway(r.gateway)


def traced(calls: str, number: int) -> list[str]:
    """Runs a program that is killed as it enters one of its threads' so-many-th system call."""
    # -D: the program, not strace, is our child.
    return [
        "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
        f"inject={calls}:signal=SIGKILL:when={number}",
    ]


def kill_at(r: Round, calls: str, number: int) -> None:
    r.begin(start=False, settings={"log.level": "warning"})
    r.start_gateway(r.gateway, traced(calls, number), wait=False)
    r.load(r.seconds + 1)
    deadline = time.monotonic() + r.seconds + 4
    while r.gateway.is_running() and time.monotonic() < deadline:
        time.sleep(0.005)
    if not r.gateway.is_running():
        r.fire("kills")
    r.note(f"killed at {calls} number {number}")
    r.restart_gateway()
    # What callers still have to say is said to the gateway that came after.
    r.load(0.5, processes=1, name="after")


@row("F-02", "kill -9 the gateway at its Nth send to the database", requires=("linux", "strace"),
     at_least={"kills": 1})
def kill_at_send(r: Round) -> None:
    step = SENDS // 20
    number = 1 + ((r.number - 1) * step + r.rng.randrange(step)) % SENDS
    kill_at(r, "sendto", number)


@row("F-03", "kill -9 the gateway between COMMIT's answer and its own", unknown=("committed",),
     unknown_from="callers", requires=("linux", "strace"), at_least={"kills": 1}, selected=1)
def kill_before_answer(r: Round) -> None:
    # Its writes are answers to callers, and what wakes the thread that writes those.
    kill_at(r, "write,writev,sendmsg", r.rng.randrange(60, 400))


@row("F-04", "kill -9 the gateway while it looks for a bad record, or keeps a dead letter",
     at_least={"kills": 2}, needs=frozenset({"on_reject"}), selected=1)
def kill_in_bisect(r: Round) -> None:
    r.begin()
    r.load(r.seconds + 2, mix=POISON_MIX)
    for what in r.rng.sample(["bisect", "letter", "letter committed"], 3):
        r.wait_for_traffic(20)
        if kill_on(r, what):
            r.fire("kills")
            r.fire(what.replace(" ", "-"))
        r.start_gateway(r.gateway)


def kill_on(r: Round, what: str, seconds: float = 2) -> bool:
    """Kills at a point of the protocol; in the midst of a bisection, some messages after it began."""
    reached = threading.Event()
    left = [r.rng.randrange(0, 8)]
    began = [False]
    lock = threading.Lock()

    def script(point: Point):
        with lock:
            if reached.is_set():
                return CUT
            if what == "bisect":
                began[0] = began[0] or (point.name == "error" and point.sqlstate == "23514")
                if not began[0]:
                    return None
                left[0] -= 1
                if left[0] >= 0:
                    return None
            else:
                letter = point.name == "statement" and "insert" in point.sql.lower()
                letter = letter and "dead_letter" in point.sql.lower()
                if letter:
                    began[0] = True
                    marked.add(id(point.transaction))
                if what == "letter" and not letter:
                    return None
                if what == "letter committed":
                    if point.name != "reply" or id(point.transaction) not in marked:
                        return None
            reached.set()
        r.gateway.process.kill()
        return CUT

    marked: set[int] = set()
    r.proxy.script = script
    bit = reached.wait(seconds)
    r.proxy.script = None
    r.kill_gateway()
    return bit


@row("F-05", "stop the gateway for longer than the server's timeouts, and let it go on", unknown=BOTH,
     at_least={"stops": 2, "straddled": 1})
def stop_and_continue(r: Round) -> None:
    r.begin(settings={
        "database.statement_timeout": "500ms", "database.lock_timeout": "300ms"})
    r.load(r.seconds + 3)
    r.wait_for_traffic(20)

    def stop() -> None:
        r.gateway.send(signal.SIGSTOP)
        try:
            r.pause(1.3, 1.8)
        finally:
            r.gateway.send(signal.SIGCONT)
        r.fire("stops")

    r.straddle(stop)
    r.pause(0.2, 0.5)
    stop()


@row("F-09", "two gateways with the same messages at once; one of them is killed",
     at_least={"kills": 2}, needs=frozenset({"replay"}), selected=1)
def two_gateways(r: Round) -> None:
    r.begin(gateways=2)
    r.load(r.seconds + 1, mix={
        "append": 200, "tick": 100, "upsert": 100, "life": 50, "burst": 50, "twins": 400, "again": 100})
    r.wait_for_traffic(30)
    for _ in range(2):
        gateway = r.rng.choice(r.gateways)
        r.kill_gateway(gateway)
        r.fire("kills")
        r.pause(0.05, 0.4)
        r.start_gateway(gateway)
        r.pause(0.1, 0.4)
