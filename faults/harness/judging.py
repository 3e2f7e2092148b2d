"""What a round is judged by besides its records: is all well again, within bounds, and did it bite?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import model
from .cluster import ROLE
from .wire import Transaction

if TYPE_CHECKING:
    from .round import Round

RSS_KB_MAX = 400_000
# After the fault is over: until a fresh record commits, and until all connections are back.
HEALED_SECONDS_MAX = 8
# Codes with which records are refused before they are admitted.
# A member that is refused there takes its group with it.
AT_THE_DOOR = (
    "unknown-column", "table-paused", "invalid-value", "not-null-violation", "rolled-back")


def check_live(r: "Round") -> None:
    """After healing: fresh records commit, the pool is whole, and no backend is left behind."""
    for number, gateway in enumerate(r.gateways):
        for table in ("t_append", "t_tick", "t_upsert"):
            if not _probe(r, gateway, number, table):
                r.broken("LIVE", f"a fresh record for {table} did not commit in time")
    deadline = time.monotonic() + HEALED_SECONDS_MAX
    while True:
        count = [len(p.live_links()) for p in r.proxies]
        wanted = [g.connections for g in r.gateways]
        with r.pg() as pg:
            stuck = pg.query(
                "SELECT pid, state FROM pg_stat_activity WHERE datname = current_database() "
                f"AND usename = '{ROLE}' AND state LIKE 'idle in transaction%'")
        held = [g.metrics().get("weir_queue_rows", 0) for g in r.gateways]
        if count == wanted and not stuck and not any(held):
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    if any(held):
        r.broken("RECON", f"records are held that nobody waits for: {held}")
    if count != wanted:
        r.broken("LIVE", f"connections are {count}, not {wanted}")
    if stuck:
        r.broken("LIVE", f"backends stay in transactions: {stuck}")


def _probe(r: "Round", gateway, number: int, table: str) -> bool:
    identity = f"{r.row.name}.{r.number}.probe{number}.{table}"
    if table == "t_append":
        record = model.append(identity, identity, 1)
    elif table == "t_tick":
        record = model.tick(identity, "probe", 1_000_000 + number)
    else:
        record = model.upsert(identity, identity, 1)
    deadline = time.monotonic() + HEALED_SECONDS_MAX
    while time.monotonic() < deadline:
        if r.direct.call(gateway, record)[0] == "ok":
            return True
        time.sleep(0.1)
    return False


def check_bounds(r: "Round") -> None:
    """Connections, memory and descriptors, as they were sampled five times a second."""
    for number, gateway in enumerate(r.gateways):
        most = r.open_max[number]
        if most > gateway.connections:
            r.broken("BOUND", f"{most} connections; {gateway.connections} allowed")
        rss = max((s["rss_kb"] for s in gateway.samples), default=0)
        fds = max((s["fds"] for s in gateway.samples), default=0)
        if rss > RSS_KB_MAX:
            r.broken("BOUND", f"{gateway.name} took {rss} kB")
        if fds > r.fds_max:
            r.broken("BOUND", f"{gateway.name} had {fds} descriptors")


def reconcile(r: "Round") -> None:
    """What the gateway counted is what callers were told, up to the answers that were lost."""
    if any(g.starts != 1 for g in r.gateways) or not all(r.metrics):
        return
    counted = sum(
        v for m in r.metrics for k, v in m.items() if k.startswith("weir_records_total"))
    classes = r.history.classes()
    lost = classes.get("lost", 0)
    told = sum(classes.values()) - lost - classes.get("refused", 0) - classes.get("gave_up", 0)
    # The door refuses what it cannot read; the gateway counts what it let in.
    door = r.history.codes(AT_THE_DOOR)
    if not told - door <= counted <= told + lost:
        r.broken(
            "RECON", f"the gateway counted {counted:.0f} records; callers had {told} answers "
            f"({door} of them perhaps from the door) and lost {lost}")


def truth(r: "Round", transaction: Transaction) -> str | None:
    """How a transaction ended: by its marker, else by what the proxy saw."""
    if transaction.marker in r.contents.attempts:
        return "committed" if r.contents.attempts[transaction.marker] == 0 else "aborted"
    if r.contents.has_replay and transaction.marker:
        return "aborted"
    return transaction.truth


def split(r: "Round") -> None:
    """How the ambiguous transactions had ended, and whether everybody agrees on it."""
    for proxy in r.proxies:
        for transaction in proxy.ambiguous():
            outcome, seen = truth(r, transaction), transaction.truth
            if outcome == "committed":
                r.result.committed += 1
            elif outcome == "aborted":
                r.result.aborted += 1
            if seen and outcome != seen:
                r.broken(
                    "UNKNOWN", f"attempt {transaction.marker} {seen} by the proxy's account, and "
                    f"{outcome} by the database's")
    if r.row.unknown_from == "callers":
        r.result.committed, r.result.aborted = r.history.recovered()


def look_for_teeth(r: "Round") -> None:
    """Whether the fault bit; a round in which it did not proves nothing."""
    lacking = [
        f"{what} {r.result.fired[what]} of {count}"
        for what, count in r.row.at_least.items() if r.result.fired[what] < count
    ]
    lacking += [
        f"nothing ambiguous that {outcome}"
        for outcome in r.row.unknown if not getattr(r.result, outcome)
    ]
    if r.result.messages < r.row.messages_min:
        lacking.append(f"{r.result.messages} messages")
    r.result.vacuous = ", ".join(lacking)
