"""Others hold locks, meet the gateway in the other order, or take its connections."""

from __future__ import annotations

import threading
import time

from harness import model
from harness.cluster import ROLE
from harness.pg import Pg, PgError
from harness.proxy import CUT
from harness.wire import Point
from harness.round import Round
from harness.rows import row

from .database import errors, nobody_rejected

# What a record of another lane may take while one is held up: a lock's timeout and some more.
NEIGHBOUR_SECONDS_MAX = 1.5


def served_between(r: Round, begun: float, ended: float, is_neighbour) -> list[float]:
    """How long the neighbours' answers took that were given in that time."""
    return [
        answer["s"]
        for message in r.history.messages.values() if is_neighbour(message)
        for answer in message.answers
        if answer["c"] == "ok" and begun <= answer["t"] <= ended and "s" in answer
    ]


def check_blast(r: Round) -> None:
    """Records that the lock does not concern were served meanwhile, and soon; nobody was rejected."""
    nobody_rejected(r)
    begun, ended, is_neighbour, least = r.blast
    served = sorted(served_between(r, begun, ended, is_neighbour))
    if len(served) < least:
        r.broken("BLAST", f"{len(served)} neighbours were served while the lock was held")
    elif served[int(len(served) * 0.99)] > NEIGHBOUR_SECONDS_MAX:
        r.broken("BLAST", f"neighbours waited up to {served[-1]:.2f} s")
    r.note(f"{len(served)} neighbours served, the slowest in {served[-1] if served else 0:.2f} s")


@row("F-23", "another session locks a whole table", at_least={"locks": 1, "55P03": 2},
     after=check_blast)
def table_lock(r: Round) -> None:
    r.begin(settings={"database.lock_timeout": "200ms"})
    r.proxy.script = errors(r)
    r.load(r.seconds + 2, processes=1)
    # Callers of their own, so that it is the gateway that holds them up, or nothing.
    r.load(r.seconds + 2, processes=1, mix={"tick": 1, "upsert": 1, "again": 1})
    r.wait_for_traffic(20)
    with r.pg() as pg:
        pg.query("BEGIN; LOCK TABLE t_append IN ACCESS EXCLUSIVE MODE")
        r.fire("locks")
        begun = time.monotonic()
        r.pause(1.3, 1.8)
        ended = time.monotonic()
        pg.query("ROLLBACK")
    r.blast = (begun, ended, lambda m: m.kind in ("tick", "upsert"), 5)


@row("F-24", "another session locks one hot row", at_least={"locks": 1, "55P03": 1}, after=check_blast)
def row_lock(r: Round) -> None:
    r.begin(settings={"database.lock_timeout": "200ms"})
    r.proxy.script = errors(r)
    r.load(r.seconds + 2, mix={"append": 300, "upsert": 500, "tick": 100, "twins": 50, "again": 50})
    r.wait_for_traffic(40)
    key = None
    with r.pg() as pg:
        deadline = time.monotonic() + 3
        while key is None and time.monotonic() < deadline:
            key = pg.value("SELECT k FROM t_upsert ORDER BY k LIMIT 1")
        pg.query(f"BEGIN; SELECT FROM t_upsert WHERE k = '{key}' FOR UPDATE")
        r.fire("locks")
        begun = time.monotonic()
        r.pause(1.3, 1.8)
        ended = time.monotonic()
        pg.query("ROLLBACK")
    r.blast = (begun, ended, lambda m: m.facts["k"] != key, 50)


@row("F-25", "the same message is open in another transaction, which then commits or does not",
     at_least={"committed": 2, "rolled-back": 2}, needs=frozenset({"replay"}), messages_min=4,
     selected=1)
def open_elsewhere(r: Round) -> None:
    """The other transaction is another gateway's, held just before its COMMIT."""
    r.begin(gateways=2)
    first, second = r.gateways
    for number in range(4):
        commits = number % 2 == 0
        identity = f"{r.row.name}.{r.number}.{number}"
        record = model.append(identity, identity, 1)
        held, go = threading.Event(), threading.Event()

        def script(point: Point):
            if point.name != "commit" or held.is_set() or not point.transaction.is_batch:
                return None
            held.set()
            go.wait(5)
            return None if commits else CUT

        r.proxies[1].script = script
        results: dict[str, tuple] = {}

        def call(name: str, gateway) -> None:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                results[name] = r.direct.call(gateway, record)
                if results[name][0] in ("ok", "rejected", "dead"):
                    return
                time.sleep(0.05)

        other = threading.Thread(target=call, args=("second", second))
        other.start()
        if not held.wait(5):
            r.note("the other gateway did not reach COMMIT")
        mine = threading.Thread(target=call, args=("first", first))
        mine.start()
        time.sleep(0.05 + r.rng.random() * 0.3)
        if "first" in results:
            r.broken("TWICE", f"{identity} was answered before its other transaction ended: "
                              f"{results['first']}")
        go.set()
        mine.join()
        other.join()
        r.proxies[1].script = None
        r.fire("committed" if commits else "rolled-back")
        if commits and results["first"][1].get("result") != "replayed":
            r.broken("TWICE", f"{identity} had committed elsewhere: {results['first']}")
        told = [body.get("result") for _, body in results.values()]
        if sorted(told) not in (["inserted", "replayed"], ["replayed", "replayed"]):
            r.broken("TWICE", f"{identity} was answered {told}")


@row("F-26", "a deadlock with an application that locks in the other order", at_least={"40P01": 2},
     after=nobody_rejected, selected=1)
def deadlock(r: Round) -> None:
    r.begin(settings={"database.lock_timeout": "2s"})
    r.proxy.script = errors(r)
    r.load(r.seconds + 1, workers=3)
    for number in range(3):
        keys = [f"{r.row.name}.{r.number}.{number}.{side}" for side in "ab"]
        for key in keys:
            r.direct.call(r.gateway, model.upsert(f"{key}.1", key, 1))
        with r.pg() as pg:
            # The gateway's backend is to be the one that finds the deadlock, and loses.
            pg.query("SET deadlock_timeout = '10s'; BEGIN")
            pg.query(f"UPDATE t_upsert SET payload = payload WHERE k = '{keys[1]}'")
            sender = threading.Thread(target=both, args=(r, keys))
            sender.start()
            wait_for_lock(r, seconds=2)
            try:
                pg.query(f"UPDATE t_upsert SET payload = payload WHERE k = '{keys[0]}'; COMMIT")
            except PgError as error:
                r.note(f"the application lost: {error}")
            sender.join()


def both(r: Round, keys: list[str]) -> None:
    """Both rows in one request, again and again until it has a final answer."""
    records = [model.upsert(f"{key}.2", key, 2) for key in keys]
    deadline = time.monotonic() + 8
    pending = records
    while pending and time.monotonic() < deadline:
        answers = r.direct.call_many(r.gateway, records)
        pending = [x for x, kind in zip(records, answers) if kind not in ("ok", "rejected")]


def wait_for_lock(r: Round, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with r.pg() as pg:
        while time.monotonic() < deadline:
            if pg.value(
                f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' "
                "AND datname = current_database() AND wait_event_type = 'Lock' "
                "AND query ILIKE '%t_upsert%'") != "0":
                return
            time.sleep(0.003)


@row("F-28", "others take all connections of the server", at_least={"taken": 10, "53300": 1},
     server={"max_connections": 20})
def no_connections(r: Round) -> None:
    r.begin()
    with r.pg() as pg:
        pg.query("DO $$ BEGIN CREATE ROLE other LOGIN; "
                 "EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    r.proxy.script = errors(r)
    r.load(r.seconds + 2.5)
    r.wait_for_traffic(20)
    others: list[Pg] = []
    with r.pg() as pg:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            take_all(r, others)
            found = pg.query(
                f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = "
                f"'{ROLE}' AND datname = current_database()")
            take_all(r, others)
            if not found:
                break
    r.fire("taken", len(others))
    attempts = r.proxy.accepted
    begun = time.monotonic()
    r.pause(1.2, 1.6)
    attempts = r.proxy.accepted - attempts
    rate = attempts / (time.monotonic() - begun)
    r.note(f"{attempts} attempts to connect, {rate:.1f} a second")
    # Each connection comes back by itself; with the first pauses short, so many are no storm.
    if rate > 10 * r.gateway.connections:
        r.broken("BOUND", f"{rate:.0f} attempts a second to connect to a server that is full")
    for session in others:
        session.close()


def take_all(r: Round, others: list[Pg]) -> None:
    while len(others) < 40:
        try:
            others.append(r.cluster.session(r.database, user="other"))
        except PgError:
            return
