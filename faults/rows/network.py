"""The connection to the database breaks round COMMIT, at every byte; and the calm that is compared."""

from __future__ import annotations

import threading

from harness.proxy import CUT
from harness.wire import Point
from harness.round import Round
from harness.rows import row

CUTS_MIN = 3


@row("F-00", "no fault: the oracles hold for the load itself", selected=1)
def calm(r: Round) -> None:
    r.begin()
    r.load()


class Cuts:
    """Cuts at a point of every so-many-th transaction."""

    def __init__(self, r: Round, name: str, verdict, low: int = 3, high: int = 12):
        self.r, self.name, self.verdict = r, name, verdict
        self.low, self.high = low, high
        self.left = r.rng.randrange(low, high)
        self.lock = threading.Lock()

    def __call__(self, point: Point):
        transaction = point.transaction
        if point.name != self.name or transaction is None or not transaction.is_batch:
            return None
        if point.name == "reply" and transaction.tag != "COMMIT":
            return None
        with self.lock:
            self.left -= 1
            if self.left > 0:
                return None
            self.left = self.r.rng.randrange(self.low, self.high)
            self.r.fire("cuts")
            return self.verdict(point) if callable(self.verdict) else self.verdict


def cut(r: Round, cuts: Cuts) -> None:
    r.begin()
    r.proxy.resets = r.rng.random() < 0.5
    r.load()
    r.wait_for_traffic(10)
    r.proxy.script = cuts
    r.pause(r.seconds)
    r.proxy.script = None


@row("F-41", "cut after COMMIT was sent, before it reaches the server", unknown=("aborted",),
     at_least={"cuts": CUTS_MIN}, selected=2)
def before_commit(r: Round) -> None:
    cut(r, Cuts(r, "commit", CUT))


@row("F-42", "cut after the server committed, before it could say so", unknown=("committed",),
     at_least={"cuts": CUTS_MIN}, selected=2)
def after_commit(r: Round) -> None:
    cut(r, Cuts(r, "reply", CUT))


@row("F-43", "cut inside the answer to COMMIT, at each byte", unknown=("committed",),
     at_least={"cuts": CUTS_MIN}, selected=1)
def inside_answer(r: Round) -> None:
    # CommandComplete with COMMIT has 12 bytes, ReadyForQuery 6: a round takes each in its turn.
    offsets = [("reply", n) for n in range(12)] + [("ready", n) for n in range(6)]
    place = [r.number % len(offsets)]
    name = offsets[place[0]][0]

    def verdict(point: Point):
        while True:
            at, count = offsets[place[0] % len(offsets)]
            place[0] += 1
            if at == name:
                r.fire(f"{at}[{count}]")
                return (CUT, count)

    # Both messages are cut in every round, the one after the other.
    r.begin()
    r.load()
    r.wait_for_traffic(10)
    for name in ("reply", "ready"):
        r.proxy.script = Cuts(r, name, verdict, 2, 6)
        r.pause(r.seconds / 2)
    r.proxy.script = None
