"""The connection to the database breaks round COMMIT, at every byte; and the calm that is compared."""

from __future__ import annotations

import threading

from harness.proxy import CUT
from harness.wire import Point, bound_to
from harness.round import Round
from harness.rows import row

CUTS_MIN = 3


@row("F-00", "no fault: the oracles hold for the load itself", selected=1)
def calm(r: Round) -> None:
    r.begin()
    r.load()


class Cuts:
    """Cuts at a point of every so-many-th transaction, or of every so-many-th that is `wanted`."""

    def __init__(
        self, r: Round, name: str, verdict, low: int = 3, high: int = 12,
        wanted=lambda transaction: True,
    ):
        self.r, self.name, self.verdict, self.wanted = r, name, verdict, wanted
        self.low, self.high = low, high
        self.left = r.rng.randrange(low, high)
        self.lock = threading.Lock()

    def __call__(self, point: Point):
        transaction = point.transaction
        if point.name != self.name or transaction is None or not transaction.is_batch:
            return None
        if point.name == "reply" and transaction.tag != "COMMIT":
            return None
        if not self.wanted(transaction):
            return None
        with self.lock:
            self.left -= 1
            if self.left > 0:
                return None
            self.left = self.r.rng.randrange(self.low, self.high)
            self.r.fire("cuts")
            return self.verdict(point) if callable(self.verdict) else self.verdict


def cut(r: Round, cuts: Cuts, **load) -> None:
    r.begin()
    r.proxy.resets = r.rng.random() < 0.5
    r.load(**load)
    r.wait_for_traffic(10)
    r.proxy.script = cuts
    r.pause(r.seconds)
    r.proxy.script = None


@row("F-41", "cut after COMMIT was sent, before it reaches the server", unknown=("aborted",),
     at_least={"cuts": CUTS_MIN}, selected=1)
def before_commit(r: Round) -> None:
    cut(r, Cuts(r, "commit", CUT))


@row("F-42", "cut after the server committed, before it could say so", unknown=("committed",),
     at_least={"cuts": CUTS_MIN}, selected=1)
def after_commit(r: Round) -> None:
    cut(r, Cuts(r, "reply", CUT))


@row("F-41S", "as F-41, where records of one key follow each other closely", unknown=("aborted",),
     at_least={"cuts": CUTS_MIN}, selected=1)
def before_commit_in_streams(r: Round) -> None:
    cut(r, Cuts(r, "commit", CUT), mix={"stream": 600, "append": 200, "burst": 100, "again": 100})


# One connection to the gateway: its records are written by the thread that reads it.
ALONE = {
    "processes": 1, "workers": 1, "pause": 0.002,
    "mix": {"anonymous": 450, "append": 450, "again": 100},
}


@row("F-41A", "as F-41, where a caller is alone", unknown=("aborted",),
     at_least={"cuts": CUTS_MIN}, selected=1)
def before_a_lone_commit(r: Round) -> None:
    cut(r, Cuts(r, "commit", CUT), **ALONE)


@row("F-42A", "as F-42, where a caller is alone", unknown=("committed",),
     at_least={"cuts": CUTS_MIN}, selected=1)
def after_a_lone_commit(r: Round) -> None:
    cut(r, Cuts(r, "reply", CUT), **ALONE)


LETTERS_MIX = {"append": 200, "dead": 700, "poison_dead": 28, "again": 100}


def keeps_a_letter(transaction) -> bool:
    return any("dead_letter" in statement for statement in transaction.statements)


@row("F-41L", "as F-41, where a dead letter is to be kept", unknown=("aborted",),
     at_least={"cuts": 2}, needs=frozenset({"on_reject"}))
def before_letter(r: Round) -> None:
    cut(r, Cuts(r, "commit", CUT, 1, 3, keeps_a_letter), seconds=r.seconds + 1, mix=LETTERS_MIX)


@row("F-42L", "as F-42, where a dead letter is kept", unknown=("committed",),
     at_least={"cuts": 2}, needs=frozenset({"on_reject"}))
def after_letter(r: Round) -> None:
    cut(r, Cuts(r, "reply", CUT, 1, 3, keeps_a_letter), seconds=r.seconds + 1, mix=LETTERS_MIX)


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
                return (CUT, min(count, len(point.message) - 1))

    # Both messages are cut in every round, the one after the other.
    r.begin()
    r.load()
    r.wait_for_traffic(10)
    for name in ("reply", "ready"):
        r.proxy.script = Cuts(r, name, verdict, 2, 6)
        r.pause(r.seconds / 2)
    r.proxy.script = None


@row("F-50", "COMMIT is answered with ROLLBACK", at_least={"cuts": CUTS_MIN}, selected=1)
def rolled_back(r: Round) -> None:
    """The server is sent ROLLBACK instead, and says so: nothing of the transaction is there."""
    cut(r, Cuts(r, "commit", lambda point: bound_to(point.message, b"weir_rollback"),
                wanted=lambda transaction: not transaction.is_implicit))
