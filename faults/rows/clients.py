"""Callers break off, forget what they were told, and come all at once."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time

from harness import model
from harness.round import Round
from harness.rows import row
from harness.web import Break, Client

CROWD = 1000


def every_break(r: Round) -> None:
    """Each way of breaking off happened, and the books balance all the same (RECON)."""
    for message in r.history.messages.values():
        for answer in message.answers:
            if answer["c"] == "lost" and answer.get("why") in Break.ALL:
                r.fire(answer["why"])


@row("F-62", "callers break off: in the body, queued, in the transaction, in the answer",
     at_least={kind: 5 for kind in Break.ALL}, after=every_break, selected=1)
def break_off(r: Round) -> None:
    r.begin()
    r.load(breaks=0.35)


def all_replayed(r: Round) -> None:
    """Everything had committed before its caller broke off: nothing was written for the retries."""
    for message in r.history.messages.values():
        fresh = [
            a for a in message.answers
            if a["c"] == "ok" and a.get("result") != "replayed" and a["n"] > 1
        ]
        if fresh:
            r.broken("TWICE", f"{message.id} had its answer lost; its retry: {fresh[0]}")
        r.fire("lost", message.count("lost"))


@row("F-63", "every first answer is lost, and every caller comes again", at_least={"lost": 50},
     after=all_replayed, needs=frozenset({"replay"}), selected=1)
def answers_lost(r: Round) -> None:
    r.begin()
    r.load(break_first=Break.IN_ANSWER, mix={
        "append": 300, "tick": 100, "upsert": 100, "life": 50, "burst": 50, "pair": 30, "bulk": 50})


@row("F-64", "a thousand callers send one message at once", at_least={"callers": CROWD},
     messages_min=1, selected=1)
def crowd(r: Round) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CROWD * 2 + 500
    if soft < wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    r.begin()
    r.fds_max += CROWD
    record = model.append(f"{r.row.name}.{r.number}.one", "one", 1)

    async def send_all() -> list[str]:
        client = Client(*r.gateway.address)
        try:
            return await asyncio.gather(
                *(r.direct.settle(client, record) for _ in range(CROWD)))
        finally:
            client.close()

    results = asyncio.run(send_all())
    r.fire("callers", len(results))
    fates = {kind: results.count(kind) for kind in set(results)}
    r.note(str(fates))
    if set(fates) != {"ok"}:
        r.broken("TWICE", f"callers of one message were answered {fates}")


def drained_soon(r: Round) -> None:
    """What piled up is gone within the length of the outage."""
    last = max(a["t"] for m in r.history.messages.values() for a in m.answers if "s" in a)
    thawed, outage, stop = r.outage
    late = last - max(thawed, stop)
    r.note(f"the last answer came {late:.2f} s after the thaw; the outage took {outage:.2f} s")
    if late > outage + 1:
        r.broken("BOUND", f"the last answer came {late:.1f} s after an outage of {outage:.1f} s")


@row("F-65", "the database freezes; every caller gives up soon, and comes again and again",
     at_least={"frozen": 1, "given-up": 50}, after=drained_soon)
def retry_storm(r: Round) -> None:
    r.begin()
    r.load(r.seconds + 1, workers=20, timeout=0.4, backoff=[0.01, 0.05], patience=25)
    stop = time.monotonic() + r.seconds + 1
    r.wait_for_traffic(20)
    frozen = r.cluster.processes()
    begun = time.monotonic()
    try:
        for pid in frozen:
            signal_if_there(pid, signal.SIGSTOP)
        r.fire("frozen")
        r.pause(2.5, 3)
    finally:
        for pid in reversed(frozen):
            signal_if_there(pid, signal.SIGCONT)
    thawed = time.monotonic()
    r.outage = (thawed, thawed - begun, stop)
    r.fire("given-up", count_lost(r))


def count_lost(r: Round) -> int:
    return sum(log.read_text().count('"c":"lost"') for log in r.logs)


def signal_if_there(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


@row("F-66", "one key from two connections, the other way round at each retry",
     at_least={"pairs": 20}, needs=frozenset({"replay"}))
def two_connections(r: Round) -> None:
    """Which of two comes first nobody can know; that a pair comes after the pair before, and that
    retries change nothing, can be seen."""
    r.begin()
    r.load(workers=3)
    asyncio.run(send_pairs(r))


async def send_pairs(r: Round) -> None:
    client = Client(*r.gateway.address)
    key = f"{r.row.name}.{r.number}.pair"

    for number in range(1, 31):
        pair = [model.append(f"{key}.{number}.{side}", key, number) for side in "ab"]
        await asyncio.gather(*(r.direct.settle(client, record) for record in pair))
        # Again, in the other order; nothing of it may take effect.
        for record in reversed(pair):
            await r.direct.settle(client, record, again=True)
        r.fire("pairs")
    client.close()


@row("F-67", "a first version comes again after the second, inside the window and after it",
     at_least={"inside": 3, "outside": 3, "rotated": 2}, needs=frozenset({"replay", "version_column"}),
     messages_min=6, selected=1)
def late_version(r: Round) -> None:
    r.begin(tables={"t_upsert": {"version_column": "version"}})
    r.load(0.3, processes=1, mix={"append": 1})
    for number in range(3):
        key = f"{r.row.name}.{r.number}.{number}"
        versions = [model.upsert(f"{key}.{v}", key, v) for v in (1, 2)]
        for record in versions:
            settle(r, record)
        result = settle(r, versions[0], again=True)
        if result != "replayed":
            r.broken("UPSERT", f"{key}: the first version came again and was {result}")
        r.fire("inside")
    for process in r.callers:
        process.wait(timeout=20)
    # Two changes of generation, and all is forgotten; a new process remembers nothing either.
    for _ in range(2):
        r.rotate()
    r.restart_gateway()
    r.has_forgotten = True
    for number in range(3):
        key = f"{r.row.name}.{r.number}.{number}"
        result = settle(r, model.upsert(f"{key}.1", key, 1))
        if result != "ignored":
            r.broken("UPSERT", f"{key}: the first version came after the window and was {result}")
        r.fire("outside")


def settle(r: Round, record: model.Record, again: bool = False) -> str:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        kind, body = r.direct.call(r.gateway, record, again)
        if kind in ("ok", "rejected", "dead"):
            return body.get("result", kind)
        time.sleep(0.05)
    return "nothing"
