#!/usr/bin/env python3
"""Loads a real data set through the gateway in every way it can be written, edits it, and compares.

The data is the machine's own package index (`apt-cache dumpavail`). Exit codes: 0 every field of
every row is as it should be, 1 something is not, 69 no database, no gateway or no data.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tools"))

from client import Client, ConnectionLostError, GaveUpError, Script  # noqa: E402  (after the path is set)
from database import ConnectionWatch, Database, DatabaseError  # noqa: E402
from gateway import Gateway, GatewayError  # noqa: E402
from packages import NoPackagesError, count_gaps, parse, read_index  # noqa: E402
from phases import COPIES, PACKAGES, Loader  # noqa: E402
from private_postgres import PostgresError, PrivatePostgres  # noqa: E402

COMMITTED = 'weir_db_transactions_total{outcome="committed"}'
HEADER = ("phase", "requests", "records", "seconds", "records/s", "p50 ms", "p99 ms",
          "transactions", "rows each")  # fmt: skip
LINE = "{:<22}{:>9}{:>9}{:>9}{:>11}{:>8}{:>8}{:>14}{:>11}"


class Run:
    """The phases one after the other, each measured, most of them compared."""

    def __init__(self, database: Database, gateway: Gateway, loader: Loader):
        self.database = database
        self.gateway = gateway
        self.loader = loader
        self.client = Client(gateway.address)
        self.told_to_wait: dict[str, int] = {}
        self.has_failed = False

    def phase(self, name: str, scripts: list[Script]) -> None:
        before, records = self.gateway.figures(), self.loader.results.total()
        begin = time.monotonic()
        figures = self.client.run(scripts)
        seconds = time.monotonic() - begin
        transactions = int(self.gateway.figures()[COMMITTED] - before[COMMITTED])
        records = self.loader.results.total() - records
        for what, count in figures.told_to_wait.items():
            self.told_to_wait[what] = self.told_to_wait.get(what, 0) + count
        times = sorted(figures.seconds) or [0.0]
        print(LINE.format(
            name, figures.requests, records, f"{seconds:.2f}", f"{records / seconds:,.0f}",
            f"{percentile(times, 50):.1f}", f"{percentile(times, 99):.1f}",
            transactions, f"{records / max(transactions, 1):.1f}",
        ), flush=True)  # fmt: skip
        self._report_problems()

    def compare(self, table: str) -> None:
        result = self.database.compare(
            table, self.loader.expected, self.loader.unacknowledged
        )
        if not result.difference_count:
            text = f"  = {result.rows:,} rows, {result.fields:,} fields as they should be, "
            print(text + f"{result.empty:,} empty text, {result.null:,} NULL", flush=True)
            return
        self.has_failed = True
        print(f"  ! {table}: {result.difference_count:,} differences, "
              f"{len(result.lost):,} rows of them acknowledged; the first:")  # fmt: skip
        for text in result.differences:
            print(f"      {text}")

    def _report_problems(self) -> None:
        for what, count in self.loader.problems.items():
            self.has_failed = True
            print(f"  ! {count:,} times {what}; the first: {self.loader.first_problem[what]}")
        self.loader.problems.clear()

    def all(self, edits: int) -> None:
        loader = self.loader
        print(LINE.format(*HEADER))
        self.phase("insert (POST)", loader.insert())
        self.compare(PACKAGES)
        self.phase("upsert (PUT)", loader.upsert())
        self.compare(PACKAGES)
        self.phase("patch (PATCH)", loader.patch())
        self.compare(PACKAGES)
        self.phase("delete (DELETE)", loader.delete())
        self.compare(PACKAGES)
        self.phase("insert again", loader.insert_again())
        self.compare(PACKAGES)
        self.phase(f"edit {len(loader.edited())} rows x {edits:,}", loader.edit(edits))
        self.compare(PACKAGES)
        for name, many in (("CSV", loader.csv), ("JSON array", loader.array),
                           ("NDJSON bulk", loader.bulk)):  # fmt: skip
            self.database.run(f"TRUNCATE {COPIES}")
            loader.expect_copies()
            self.phase(f"second table: {name}", many())
            self.compare(COPIES)
        self.phase("mixed bulk", loader.mixed_bulk())
        self.compare(COPIES)


def report(run: Run, watch: ConnectionWatch, before: dict[str, int]) -> None:
    figures = run.gateway.figures()
    limit = int(figures["weir_db_connections_limit"])
    run.gateway.drain()
    after = run.database.statistics()
    delta = {name: after[name] - before[name] for name in after}
    records, transactions = run.loader.results.total(), int(figures[COMMITTED])
    retries = {
        name.partition('"')[2].partition('"')[0]: int(value)
        for name, value in figures.items()
        if name.startswith("weir_db_retries_total") and value
    }
    failed = int(figures['weir_db_transactions_total{outcome="failed"}'])
    print()
    print(f"callers       {run.loader.callers} at once, each waits for its answer")
    note = "" if watch.is_whole else " (until the database went away)"
    print(f"connections   {watch.peak} at most in pg_stat_activity{note}; "
          f"the gateway's limit is {limit}")  # fmt: skip
    print(f"transactions  {transactions:,} committed for {records:,} records "
          f"({records / transactions:.1f} each), {failed:,} failed; "
          f"PostgreSQL counts {delta['xact_commit']:,} with this script's own")  # fmt: skip
    print(f"deadlocks     {delta['deadlocks']}")
    waits = _list(run.told_to_wait)
    print(f"retries       {_list(retries)} inside the gateway, {waits} by callers")
    print(f"answers       {_list(run.loader.results)}; streamed in {run.loader.chunks:,} chunks")
    mebibytes = figures.get("process_resident_memory_bytes", 0) / 2**20
    seconds = figures["process_cpu_seconds_total"]
    print(f"gateway       {seconds:.1f} s of CPU, {mebibytes:.0f} MiB resident")
    if watch.peak > limit:
        run.has_failed = True
        print("  ! more connections than the limit")


def percentile(sorted_seconds: list[float], percent: int) -> float:
    """In milliseconds."""
    return sorted_seconds[len(sorted_seconds) * percent // 100] * 1e3


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("takes a number from 1")
    return number


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Load the package index through the gateway.")
    parser.add_argument("--weir", type=Path, default=REPOSITORY / ".build/release/weir",
                        help="the gateway (default: .build/release/weir)")  # fmt: skip
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N packages")
    parser.add_argument("--callers", type=positive, default=100, metavar="N",
                        help="callers at once (default 100)")  # fmt: skip
    parser.add_argument("--edits", type=positive, default=1_000, metavar="N",
                        help="edits of each of 100 rows, in tens (default 1000)")  # fmt: skip
    parser.add_argument("--file", type=Path, help="a saved `apt-cache dumpavail`")
    parser.add_argument("--db", metavar="CONNINFO", help="use this database, schema package_index, "
                        "which is dropped first (default: a private cluster)")  # fmt: skip
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if not arguments.weir.is_file():
        print(f"package-index: no gateway at {arguments.weir}; run `make build`", file=sys.stderr)
        return 69
    try:
        text, origin = read_index(arguments.file)
        loader = Loader(parse(text, arguments.limit), arguments.callers)
        missing, empty = count_gaps(loader.records)
        # Millions of objects that live to the end: the collector need not visit them again.
        gc.freeze()
        print(f"{len(loader.records):,} packages from {origin}")
        print(f"{missing:,} fields are missing, so their columns must take the DEFAULT; "
              f"{empty:,} are empty and must stay empty text\n", flush=True)  # fmt: skip
        with contextlib.ExitStack() as stack:
            if arguments.db:
                database = Database(arguments.db)
            else:
                server = stack.enter_context(PrivatePostgres())
                database = Database(server.conninfo, server.program("psql"))
            database.create_tables()
            before = database.statistics()
            gateway = stack.enter_context(
                Gateway(arguments.weir, database.conninfo, [PACKAGES, COPIES])
            )
            watch = stack.enter_context(ConnectionWatch(database))
            run = Run(database, gateway, loader)
            run.all(arguments.edits)
            report(run, watch, before)
    except KeyboardInterrupt:
        return 130
    except (ConnectionLostError, GaveUpError, NoPackagesError, PostgresError, DatabaseError,
            GatewayError, OSError) as error:  # fmt: skip
        print(f"package-index: {error}", file=sys.stderr)
        return 1 if isinstance(error, (ConnectionLostError, ConnectionError)) else 69
    print("\nDIFFERENT: see the lines with `!`" if run.has_failed else "\nthe same, field by field")
    return 1 if run.has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
