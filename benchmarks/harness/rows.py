"""The rows of the table: each is a function from a Bench to its figures; ROWS has their order."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

from . import bulk, decoding, idle, loads, messages, pages, processes
from .loads import Ids, Sample
from .processes import BenchmarkError, Service
from .report import Figure, Side, shown
from .sides import Bench, Gateway

CALLERS = 100
IDLE_CONNECTIONS = 10_000
IDLE_PROCESSES = 4
WARM_UP_SECONDS = 2
# Most of 100 direct connections that lock two hot rows each deadlock and try again.
PGBENCH_TRIES_MAX = 1000
Round = Callable[[float, bool], Sample]


def alternate(
    bench: Bench, weir: Round | None, peer: Round, peer_name: str, measure: str = "per_second"
) -> tuple[Side, Side]:
    """Weir, peer, Weir, peer, …: whatever slows the machine down for a while slows down both.

    A round is called with its length and whether it is the warm-up, whose sample is thrown away.
    """
    ours, theirs = Side("weir"), Side(peer_name)
    both = [(ours, weir), (theirs, peer)] if weir else [(theirs, peer)]
    for _, take in both:
        bench.prepare()
        take(min(WARM_UP_SECONDS, bench.options.seconds), True)
    for number in range(1, bench.options.rounds + 1):
        for side, take in both:
            bench.prepare()
            side.samples.append(take(bench.options.seconds, False))
        last = [(side, getattr(side.samples[-1], measure)) for side, _ in both]
        texts = [f"{side.name} {shown(value, measure)}" for side, value in last]
        if len(last) == 2:
            texts.append(f"ratio {last[0][1] / last[1][1]:.3f}")
        say(f"round {number}: " + "   ".join(texts))
    return ours, theirs


def ratio_figure(
    name: str, title: str, relation: str, bound: float, ours: Side, theirs: Side,
    measure: str = "per_second",
) -> Figure:
    """The ratio of the medians, Weir's over its peer's."""
    a, b = ours.median(measure), theirs.median(measure)
    return Figure(
        name, title, relation, bound, a / b if a is not None and b else None,
        weir=shown(a, measure), peer=shown(b, measure), unit=" ×",
        sides=[side for side in (ours, theirs) if side.samples],
    )


def say(text: str) -> None:
    print("   " + text, flush=True)


# Small records


def insert_round(bench: Bench, ids: Ids, service: Service, url: str, stores: bool = True) -> Round:
    """100 callers, one small record a request; what was acknowledged must be in the table."""

    def take(seconds: float, is_warm_up: bool) -> Sample:
        postgres = bench.postgres if stores else None
        sample = loads.wrk(
            service, url, "insert.lua", ids.next_range(), CALLERS, seconds, postgres, is_warm_up
        )
        if stores:
            bench.check_stored(sample.count, CALLERS)
        return sample

    return take


def gateway_insert_round(bench: Bench, ids: Ids, gateway: Gateway | None) -> Round | None:
    return insert_round(bench, ids, gateway.service, gateway.records_url) if gateway else None


def pgbench_insert_round(bench: Bench, ids: Ids, callers: int, log_latency: bool) -> Round:
    def take(seconds: float, _: bool) -> Sample:
        base = ids.next_range()
        return loads.pgbench(bench.postgres, "insert.sql", callers, seconds, base, log_latency)

    return take


def against_echo(bench: Bench) -> list[Figure]:
    ids = Ids()
    service, url = bench.echo()
    with bench.gateway() as gateway, service:
        peer = insert_round(bench, ids, service, url, stores=False)
        ours, theirs = alternate(bench, gateway_insert_round(bench, ids, gateway), peer, "nio-echo")
        note_memory((ours, gateway and gateway.service), (theirs, service))
    title = "records/s, against a bare NIO echo of the same request"
    return [ratio_figure("echo", title, ">=", 0.6, ours, theirs)]


def against_go(bench: Bench) -> list[Figure]:
    ids = Ids()
    service, url = bench.go_batcher()
    with bench.gateway() as gateway, service:
        peer = insert_round(bench, ids, service, url)
        weir = gateway_insert_round(bench, ids, gateway)
        ours, theirs = alternate(bench, weir, peer, "go-batcher")
        note_memory((ours, gateway and gateway.service), (theirs, service))
    title = "records/s, against a micro-batcher written by hand in Go"
    rate = ratio_figure("go", title, ">=", 1.1, ours, theirs)
    a, b = ours.median("server_cpu_us"), theirs.median("server_cpu_us")
    cpu = Figure(
        "go-cpu", "own CPU per record, against the same", "<=", 1.0, a / b if a else None,
        weir=f"{a:.1f} µs" if a else "–", peer=f"{b:.1f} µs", unit=" ×",
    )
    return [rate, cpu]


def against_pgbench(bench: Bench) -> list[Figure]:
    ids = Ids()
    with bench.gateway() as gateway:
        peer = pgbench_insert_round(bench, ids, CALLERS, log_latency=False)
        ours, theirs = alternate(bench, gateway_insert_round(bench, ids, gateway), peer, "pgbench")
        note_memory((ours, gateway and gateway.service))
    title = "records/s, against pgbench: 100 connections, one prepared INSERT a transaction"
    return [ratio_figure("pgbench", title, ">=", 1.6, ours, theirs)]


def note_memory(*sides: tuple[Side, Service | None]) -> None:
    for side, service in sides:
        if service is not None:
            side.memory = processes.memory_mib(service.pid)


def transactions_per_record(bench: Bench) -> list[Figure]:
    """All of the gateway's transactions from start to end, over the records they carried."""
    figure = Figure("transactions", "PostgreSQL transactions per record", "<", 0.05, None)
    bench.prepare()
    before = bench.committed()
    with bench.gateway() as gateway:
        if gateway is None:
            return [figure]
        take = insert_round(bench, Ids(), gateway.service, gateway.records_url)
        records = take(bench.options.seconds, False).count
        figure.notes["metrics"] = gateway.metrics("transaction")
    # The backends have been told to end; they report their last second of statistics as they do.
    time.sleep(0.5)
    transactions = bench.committed() - before
    figure.notes |= {"transactions": transactions, "records": records}
    figure.value = transactions / records
    figure.weir = f"{transactions:,} / {records:,}"
    say(f"{transactions:,} transactions for {records:,} records; {figure.notes['metrics']}")
    return [figure]


def lone_caller(bench: Bench) -> list[Figure]:
    ids = Ids()
    with bench.gateway() as gateway:
        peer = pgbench_insert_round(bench, ids, 1, log_latency=True)

        def ask(seconds: float, is_warm_up: bool) -> Sample:
            return loads.wrk(
                gateway.service, gateway.records_url, "insert.lua", ids.next_range(), 1, seconds,
                bench.postgres, is_warm_up,
            )

        weir = ask if gateway else None
        ours, theirs = alternate(bench, weir, peer, "pgbench -c1", "p50_us")
    title = "a lone caller's p50, against the same INSERT prepared on an open connection"
    return [ratio_figure("lone", title, "<=", 2.0, ours, theirs, "p50_us")]


# Bulk


def bulk_against_copy(bench: Bench) -> list[Figure]:
    # The load is a number of rows and not a time: --seconds scales it, 600,000 rows for six.
    requests = bulk.CALLERS * max(1, round(2.5 * bench.options.seconds))
    file = bench.folder / "rows.tsv"
    bulk.write_copy_file(file, requests)
    rows = requests * bulk.LINES_PER_REQUEST

    with bench.gateway() as gateway:
        bodies = bulk.build_requests(gateway.port, "bench", requests) if gateway else []

        def send(_: float, is_warm_up: bool) -> Sample:
            some = bodies[: bulk.CALLERS] if is_warm_up else bodies
            sample = bulk.send(gateway.service, gateway.port, some, bench.postgres)
            bench.check_stored(sample.count, 0)
            return sample

        def copy(*_: object) -> Sample:
            sample = loads.copy_from_file(bench.postgres, "bench", file, rows)
            bench.check_stored(sample.count, 0)
            return sample

        ours, theirs = alternate(bench, send if gateway else None, copy, r"psql \copy")
        note_memory((ours, gateway and gateway.service))
    title = r"NDJSON bulk rows/s from 4 callers, against psql \copy of the same rows"
    return [ratio_figure("bulk", title, ">=", 0.5, ours, theirs)]


# Hot rows


def hot_edits(bench: Bench) -> list[Figure]:
    seeds = iter(range(1, 1_000_000))
    before = bench.deadlocks()
    with bench.gateway() as gateway:

        def through_gateway(seconds: float, is_warm_up: bool) -> Sample:
            return loads.wrk(
                gateway.service, gateway.bulk_url, "edit.lua", next(seeds), CALLERS, seconds,
                bench.postgres, is_warm_up,
            )

        def directly(seconds: float, _: bool) -> Sample:
            return loads.pgbench(
                bench.postgres, "edit.sql", CALLERS, seconds, log_latency=True,
                tries_max=PGBENCH_TRIES_MAX,
            )

        weir = through_gateway if gateway else None
        ours, theirs = alternate(bench, weir, directly, "pgbench")
        note_memory((ours, gateway and gateway.service))
    after = bench.deadlocks()
    deadlocks = {side: after[side] - before[side] for side in after}
    say(f"deadlocks: {deadlocks['gateway']} of Weir, {deadlocks['pgbench']} of pgbench")
    title = "edits/s of two of 100 hot rows, against 100 direct connections"
    edits = ratio_figure("hot", title, ">=", 300, ours, theirs)
    edits.notes["deadlocks"] = deadlocks
    return [
        edits,
        Figure(
            "hot-deadlocks", "deadlocks meanwhile", "=", 0,
            deadlocks["gateway"] if weir else None,
            weir=str(deadlocks["gateway"]) if weir else "–", peer=str(deadlocks["pgbench"]),
        ),
    ]


# Memory


def memory(bench: Bench) -> list[Figure]:
    busy = Figure("memory-busy", "peak memory, 100 callers", "<=", 64, None, unit=" MiB")
    waiting = Figure(
        "memory-idle", f"resident memory, {IDLE_CONNECTIONS:,} idle keep-alive connections", "<=",
        250, None, unit=" MiB",
    )
    bench.prepare()
    with bench.gateway() as gateway:
        if gateway is None:
            return [busy, waiting]
        insert_round(bench, Ids(), gateway.service, gateway.records_url)(
            bench.options.seconds, False
        )
        fill_memory(busy, gateway, "peak_mib")
    with bench.gateway() as gateway:
        hold_idle_connections(gateway, lambda: fill_memory(waiting, gateway, "resident_mib"))
    return [busy, waiting]


def fill_memory(figure: Figure, gateway: Gateway, field: str) -> None:
    figure.notes |= processes.memory_mib(gateway.service.pid)
    figure.value = figure.notes[field]
    figure.weir = f"{figure.value} MiB"
    say(f"{figure.title}: {figure.notes}")


def hold_idle_connections(gateway: Gateway, measure: Callable[[], None]) -> None:
    """Opens them, lets things settle, measures, and makes sure that they were open all the time."""
    each = IDLE_CONNECTIONS // IDLE_PROCESSES
    with ExitStack() as stack:
        holders = []
        for number in range(IDLE_PROCESSES):
            command = [sys.executable, str(Path(idle.__file__)), str(gateway.port), str(each)]
            command += [f"127.0.0.{number + 1}", "/v1/tables"]
            holder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True,
            )
            holders.append(stack.enter_context(holder))
            stack.callback(holder.kill)
        opened = sum(counted(holder, "open") for holder in holders)
        time.sleep(1)
        gateway.service.check_alive()
        measure()
        for holder in holders:
            holder.stdin.close()
        kept = sum(counted(holder, "kept") for holder in holders)
    if not opened == kept == IDLE_CONNECTIONS:
        raise BenchmarkError(f"of {IDLE_CONNECTIONS} connections {opened} opened, {kept} stayed")


def counted(holder: subprocess.Popen, word: str) -> int:
    line = holder.stdout.readline().split()
    if line[:1] != [word]:
        said = holder.stderr.read().strip().splitlines()
        raise BenchmarkError(f"idle connections: {said[-1] if said else 'ended without a word'}")
    return int(line[1])


# What a record means


def decode(bench: Bench) -> list[Figure]:
    return decoding.decoding(bench, insert_round)


def shapes(bench: Bench) -> list[Figure]:
    return decoding.shapes(bench, alternate, ratio_figure)


# Once, and one bad record among many


def ids(bench: Bench) -> list[Figure]:
    return messages.keyed(bench, alternate, ratio_figure)


def replays(bench: Bench) -> list[Figure]:
    return messages.repetitions(bench, alternate, ratio_figure)


def poison(bench: Bench) -> list[Figure]:
    return messages.poison(bench, alternate, ratio_figure)


ROWS: dict[str, Callable[[Bench], list[Figure]]] = {
    "echo": against_echo,
    "go": against_go,
    "pgbench": against_pgbench,
    "transactions": transactions_per_record,
    "bulk": bulk_against_copy,
    "hot": hot_edits,
    "lone": lone_caller,
    "memory": memory,
    "decode": decode,
    "shapes": shapes,
    "ids": ids,
    "replays": replays,
    "poison": poison,
    "pages": pages.pages,
}
