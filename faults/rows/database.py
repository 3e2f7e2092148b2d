"""The server's processes die, stop, lose their backends, or have no room left."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from harness.cluster import ROLE
from harness.pg import PgError
from harness.proxy import CUT
from harness.wire import Point
from harness.round import Round
from harness.rows import BOTH, row


def codes_of_rejected(r: Round, *kinds: str) -> dict[str, int]:
    """Why records that are good were refused for good."""
    found: dict[str, int] = {}
    for message in r.history.of_kind(*kinds):
        if message.facts.get("bad"):
            continue
        for answer in message.answers:
            if answer["c"] in ("rejected", "dead"):
                code = f"{answer['c']} {answer.get('code', '')}"
                found[code] = found.get(code, 0) + 1
    return found


def nobody_rejected(r: Round) -> None:
    """What is wrong is not the records: no good one is refused for good, and none is a dead letter."""
    codes = codes_of_rejected(r, "append", "dead", "tick", "upsert")
    codes.pop("rejected rolled-back", None)
    if codes:
        r.broken("DEAD", f"good records were refused for what is not their fault: {codes}")


@row("F-13", "kill -9 the postmaster under load, and start it again", unknown=BOTH,
     at_least={"kills": 2, "straddled": 1}, selected=1)
def kill_postmaster(r: Round) -> None:
    r.begin()
    r.load(r.seconds + 2)
    r.wait_for_traffic(20)
    r.straddle(r.cluster.kill)
    r.fire("kills")
    r.cluster.start_again()
    r.pause(0.3, 0.8)
    r.cluster.kill()
    r.fire("kills")
    r.pause(0, 0.3)
    r.cluster.start_again()


def backends(r: Round, where: str = "true") -> list[int]:
    with r.pg() as pg:
        return [int(pid) for (pid,) in pg.query(
            f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' "
            f"AND datname = current_database() AND {where}")]


@row("F-14", "kill -9 one backend, which restarts the whole server", unknown=BOTH,
     at_least={"kills": 2, "straddled": 1})
def kill_backend(r: Round) -> None:
    def kill_one() -> None:
        os.kill(r.rng.choice(backends(r)), signal.SIGKILL)
        r.fire("kills")
        wait_for_restart(r)

    r.begin()
    r.load(r.seconds + 2)
    r.wait_for_traffic(20)
    r.straddle(kill_one)
    r.pause(0.3, 0.8)
    wait_for_backends(r)
    kill_one()


def wait_for_backends(r: Round) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if backends(r):
                return
        except PgError:
            pass
        time.sleep(0.02)


def wait_for_restart(r: Round) -> None:
    """The server ends all sessions, recovers and accepts again."""
    time.sleep(0.02)
    r.cluster.ensure_running()


@row("F-15", "stop the server: fast, immediate and smart", at_least={"stops": 1}, selected=1)
def stop_server(r: Round) -> None:
    mode = ("fast", "immediate", "smart")[r.number % 3]
    r.begin()
    r.load(r.seconds + 1.5)
    r.wait_for_traffic(20)
    r.cluster.shut_down(mode)
    if mode == "smart":
        # Sessions go on, new ones are refused: the gateway has to go on serving with those it has.
        before = r.commits()
        deadline = time.monotonic() + 3
        r.pause(0.5, 0.8)
        while r.commits() - before < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        if r.commits() - before < 5:
            r.broken("LIVE", f"{r.commits() - before} commits while the server stopped smartly")
        r.cluster.shut_down("fast")
    if not r.cluster.wait_until_down(10):
        r.broken("LIVE", f"the server did not come to an end after {mode}")
    r.fire("stops")
    r.fire(mode)
    r.pause(0, 0.5)
    r.cluster.start_again()


@row("F-16", "stop one backend in its transaction, and let it go on when it is late", unknown=BOTH,
     at_least={"stopped-before": 1, "stopped-at-commit": 1}, selected=1)
def stop_backend(r: Round) -> None:
    """One stops when it has read no more than BEGIN, and finds itself replaced when it goes on.
    The other stops with all but COMMIT done, and commits when nobody waits for it any more."""
    stopped: dict[str, int] = {}
    lock = threading.Lock()

    def script(point: Point):
        transaction = point.transaction
        if transaction is None or not transaction.is_batch:
            return None
        first = "begin" if transaction.is_implicit else "statement"
        what = {first: "stopped-before", "commit": "stopped-at-commit"}.get(point.name)
        pid = point.link.backend_pid
        if what is None:
            return None
        if what == "stopped-before" and not (point.commit_follows and len(transaction.statements) < 3):
            return None
        with lock:
            if what in stopped or pid in stopped.values():
                return None
            stopped[what] = pid
        if what == "stopped-at-commit":
            # So that what was forwarded has been executed.
            time.sleep(0.03)
        os.kill(pid, signal.SIGSTOP)
        r.fire(what)
        return None

    r.begin(settings={"database.statement_timeout": "400ms", "database.lock_timeout": "200ms"})
    r.load(r.seconds + 2.5, processes=1)
    # The transactions of these are sent with their COMMIT, before anything is answered.
    r.load(r.seconds + 2.5, processes=1, mix={"anonymous": 1})
    r.wait_for_traffic(20)
    r.proxy.script = script
    try:
        deadline = time.monotonic() + 2
        while len(stopped) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        r.proxy.script = None
        r.pause(1.6, 2.2)
    finally:
        for pid in stopped.values():
            try:
                os.kill(pid, signal.SIGCONT)
            except OSError:
                pass


@row("F-18", "no room left for the table's data, and room again", requires=("root", "linux", "mount"),
     at_least={"53100": 3}, after=nobody_rejected)
def disk_full(r: Round) -> None:
    folder = Path(tempfile.mkdtemp(prefix="faults-space-"))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0777", "none", str(folder)], check=True)
    name = f"small_{r.database}"

    def remove() -> None:
        try:
            with r.cluster.session("postgres") as pg:
                pg.query(f"DROP TABLESPACE IF EXISTS {name}")
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
            folder.rmdir()

    r.defer(remove)
    place = folder / "data"
    place.mkdir()
    r.cluster.give(place)
    with r.cluster.session("postgres") as pg:
        pg.query(f"CREATE TABLESPACE {name} LOCATION '{place}'")
    r.begin()
    with r.pg() as pg:
        pg.query(f"ALTER TABLE t_append SET TABLESPACE {name}")
    r.proxy.script = errors(r)
    r.load(r.seconds + 2)
    r.wait_for_traffic(20)
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            r.fire("filled")
    r.pause(1.0, 1.5)
    filler.unlink()


def errors(r: Round):
    """A script that counts what the server refuses, by SQLSTATE."""

    def script(point: Point):
        if point.name == "error":
            r.fire(point.sqlstate)
        return None

    return script


@row("F-21", "pg_terminate_backend in a loop, at commits", unknown=BOTH,
     at_least={"terminated": 20, "at-commit": 1, "at-reply": 1}, selected=1)
def terminate(r: Round) -> None:
    r.begin()
    r.load(r.seconds + 1)
    r.wait_for_traffic(20)
    left = {"commit": 3, "reply": 3}
    lock = threading.Lock()

    def script(point: Point):
        if point.name not in left or point.transaction is None or not point.transaction.is_batch:
            return None
        if point.name == "reply" and point.transaction.tag != "COMMIT":
            return None
        with lock:
            left[point.name] -= 1
            if left[point.name] > 0:
                return None
            left[point.name] = r.rng.randrange(4, 12)
        with r.pg() as pg:
            pg.query(f"SELECT pg_terminate_backend({point.link.backend_pid}, 1000)")
        r.fire(f"at-{point.name}")
        # Its answer is lost with the connection.
        return CUT if point.name == "reply" else None

    r.proxy.script = script
    deadline = time.monotonic() + r.seconds
    with r.pg() as pg:
        while time.monotonic() < deadline:
            # Those that are committing, if there are any, else any.
            found = pg.query(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE "
                f"usename = '{ROLE}' AND datname = current_database() "
                "ORDER BY state = 'active' AND query ILIKE 'commit%' DESC, random() LIMIT 1) one")
            r.fire("terminated", len(found))
            time.sleep(0.004 + r.rng.random() * 0.016)
    r.proxy.script = None


@row("F-22", "pg_cancel_backend in a loop", at_least={"cancelled": 50, "57014": 3},
     after=nobody_rejected, selected=1)
def cancel(r: Round) -> None:
    r.begin()
    r.proxy.script = errors(r)
    r.load(r.seconds + 1)
    r.wait_for_traffic(20)
    deadline = time.monotonic() + r.seconds
    with r.pg() as pg:
        while time.monotonic() < deadline:
            found = pg.query(
                f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}' "
                "AND datname = current_database() AND state = 'active'")
            r.fire("cancelled", len(found))
            time.sleep(r.rng.random() * 0.003)
