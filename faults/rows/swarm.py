"""Several faults at once, chosen by the round's seed."""

from __future__ import annotations

import signal
import time

from harness.cluster import ROLE
from harness.pg import PgError
from harness.proxy import CUT
from harness.round import Round
from harness.rows import row
from harness.wire import Point, bound_to

ACTIONS = ("kill gateway", "stop gateway", "terminate", "cancel", "lock table", "lock row", "kill server")


class Chance:
    """Breaks one in so many commits, before or after it, or turns it into a rollback."""

    def __init__(self, r: Round, percent: int):
        self.r, self.percent = r, percent

    def __call__(self, point: Point):
        transaction = point.transaction
        if point.name not in ("commit", "reply") or transaction is None or not transaction.is_batch:
            return None
        if self.r.rng.random() * 100 >= self.percent:
            return None
        if point.name == "reply":
            self.r.fire("cut-after")
            return CUT if transaction.tag == "COMMIT" else None
        if self.r.rng.random() < 0.3 and not transaction.is_implicit:
            self.r.fire("rolled-back")
            return bound_to(point.message, b"weir_rollback")
        self.r.fire("cut-before")
        return CUT


@row("F-90", "two gateways, a change of generation, and some of everything else at once",
     at_least={"actions": 4, "rotated": 1}, needs=frozenset({"replay", "on_reject"}))
def swarm(r: Round) -> None:
    r.begin(gateways=2, settings={
        "database.statement_timeout": "800ms", "database.lock_timeout": "250ms"})
    r.load(r.seconds + 4, mix={
        "append": 150, "stream": 80, "anonymous": 30, "dead": 250, "tick": 100, "upsert": 100,
        "life": 40, "pair": 40, "bulk": 50, "poison": 30, "poison_dead": 9, "burst": 50,
        "twins": 120, "again": 150}, patience=25)
    r.wait_for_traffic(20)
    for proxy in r.proxies:
        proxy.script = Chance(r, r.rng.choice([0, 2, 6]))
    # The less usual a fault, the less often; a server that is killed forgives no other for a while.
    chosen = r.rng.sample(ACTIONS[:-1], 4) + (["kill server"] if r.rng.random() < 0.3 else [])
    chosen.insert(r.rng.randrange(len(chosen)), "rotate")
    for action in chosen:
        try:
            act(r, action)
            r.fire("actions")
            r.fire(action.replace(" ", "-"))
        except PgError as error:
            r.note(f"{action}: {error}")
        r.pause(0.05, 0.5)
    for proxy in r.proxies:
        proxy.script = None
    if not r.result.fired["rotated"]:
        r.rotate()


def act(r: Round, action: str) -> None:
    gateway = r.rng.choice(r.gateways)
    if action == "kill gateway":
        r.kill_gateway(gateway)
        r.pause(0, 0.3)
        r.start_gateway(gateway)
    elif action == "stop gateway":
        gateway.send(signal.SIGSTOP)
        try:
            r.pause(0.3, 1.5)
        finally:
            gateway.send(signal.SIGCONT)
    elif action == "kill server":
        r.cluster.kill()
        r.pause(0, 0.2)
        r.cluster.start_again()
    elif action == "rotate":
        r.rotate()
    elif action in ("lock table", "lock row"):
        with r.pg() as pg:
            if action == "lock table":
                table = r.rng.choice(["t_append", "t_dead", "t_tick", "t_upsert"])
                pg.query(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            else:
                pg.query("BEGIN; SELECT FROM t_upsert ORDER BY random() LIMIT 3 FOR UPDATE")
            r.pause(0.3, 0.9)
            pg.query("ROLLBACK")
    else:
        function = "pg_terminate_backend" if action == "terminate" else "pg_cancel_backend"
        with r.pg() as pg:
            for _ in range(r.rng.randrange(3, 15)):
                pg.query(
                    f"SELECT {function}(pid) FROM pg_stat_activity WHERE usename = '{ROLE}' "
                    "AND datname = current_database() ORDER BY random() LIMIT 2")
                time.sleep(r.rng.random() * 0.05)
