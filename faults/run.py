#!/usr/bin/env python3
"""Attacks a running gateway from outside, one fault after another, and judges what is left.

    python3 faults/run.py --list
    python3 faults/run.py --rows F-41,F-42 --rounds 20 --jobs 2
    python3 faults/run.py --selection          two minutes of it, as `make test` runs them

docs/FAULTS.md says what each row does, what it proves, and how to read a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness.cluster import Cluster  # noqa: E402
from harness.gateway import Product  # noqa: E402
from harness.guard import Guard  # noqa: E402
from harness.round import Round  # noqa: E402
from harness.rows import ROWS, Row  # noqa: E402
from rows import clients, database, gateway, locks, network, schema, swarm  # noqa: E402, F401

KEPT = HERE.parent / ".weir" / "faults"
# A round whose fault did not bite is repeated, up to so many times in all for each that counts.
TRIES = 4
# In the selection a row may have no luck, as long as most of them have.
SELECTION_TRIES = 2
SELECTION_VACUOUS_MAX = 1 / 3


class Tally:
    """What came of all rounds of one row."""

    def __init__(self, row: Row):
        self.row = row
        self.counted = self.failed = self.vacuous = 0
        self.committed = self.aborted = self.messages = 0
        self.fired: dict[str, int] = {}
        self.reasons: list[str] = []
        # How often each oracle was broken.
        self.oracles: dict[str, int] = {}
        self.missing = ""
        self.seconds = 0.0

    def add(self, result) -> None:
        self.messages += result.messages
        self.committed += result.committed
        self.aborted += result.aborted
        for what, count in result.fired.items():
            self.fired[what] = self.fired.get(what, 0) + count
        for oracle, _ in result.violations:
            self.oracles[oracle] = self.oracles.get(oracle, 0) + 1
        if result.violations:
            self.failed += 1
        elif result.vacuous:
            self.vacuous += 1
            self.reasons.append(result.vacuous)
        else:
            self.counted += 1

    def saved(self) -> dict:
        """What another process needs to go on with."""
        return {k: v for k, v in self.__dict__.items() if k != "row"}

    @classmethod
    def loaded(cls, row: Row, saved: dict) -> "Tally":
        tally = cls(row)
        tally.__dict__.update(saved)
        return tally

    def verdict(self, wanted: int) -> str:
        if self.missing:
            return "not run"
        if self.failed:
            return "FAILED"
        if self.counted < wanted:
            return "DID NOT BITE"
        return "ok"

    def line(self, wanted: int) -> str:
        fired = " ".join(f"{what}={count}" for what, count in sorted(self.fired.items()))
        fired = self.missing or fired
        split = f"{self.committed}/{self.aborted}"
        return (
            f"{self.row.name:<5} {self.verdict(wanted):<12} {self.counted:>3}/{wanted:<3} rounds  "
            f"{self.messages:>6} messages  ambiguous {split:<9} {self.seconds:>5.0f} s  {fired}"
        )


class Run:
    def __init__(self, options):
        self.options = options
        self.product = Product(options.weir)
        self.guard = Guard()
        self.clusters: dict[tuple, Cluster] = {}

    def close(self) -> None:
        for cluster in self.clusters.values():
            cluster.stop()
        self.guard.close()

    def cluster(self, row: Row) -> Cluster:
        key = tuple(sorted(row.server.items()))
        if key not in self.clusters:
            cluster = Cluster(settings=row.server)
            cluster.start()
            self.clusters[key] = cluster
        return self.clusters[key]

    def row(self, row: Row, rounds: int) -> Tally:
        tally = Tally(row)
        tally.missing = self.missing(row)
        if tally.missing:
            return tally
        begun = time.monotonic()
        number = self.options.first
        while tally.counted < rounds and tally.failed < self.options.failures:
            tries = SELECTION_TRIES if self.options.selection else TRIES
            if number - self.options.first >= rounds * tries:
                break
            result = self.round(row, number)
            tally.add(result)
            self.show(result)
            number += 1
        tally.seconds = time.monotonic() - begun
        return tally

    def missing(self, row: Row) -> str:
        lacking = sorted(row.needs - self.product.features)
        if lacking:
            return "the program lacks " + ", ".join(lacking)
        for what in row.requires:
            if what == "root" and os.geteuid() != 0:
                return "needs root"
            if what == "linux" and sys.platform != "linux":
                return "needs Linux"
            if what not in ("root", "linux") and shutil.which(what) is None:
                return f"needs {what}"
        return ""

    def round(self, row: Row, number: int):
        seed = self.options.seed
        folder = KEPT / f"{row.name}-{seed}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        cluster = self.cluster(row)
        log_from = cluster.log.stat().st_size
        begun = time.monotonic()
        one = Round(
            row, number, seed, cluster, self.product, self.guard, folder, self.options.seconds)
        try:
            row.run(one)
            cluster.ensure_running()
            one.finish()
        except Exception:
            one.broken("HARNESS", traceback.format_exc())
        finally:
            one.clean_up()
            try:
                cluster.ensure_running()
                one.drop()
            except Exception:
                one.broken("HARNESS", traceback.format_exc())
        one.result.seconds = time.monotonic() - begun
        if one.result.violations or self.options.keep:
            one.keep(log_from)
            one.result.folder = folder
        else:
            one.forget()
        return one.result

    def show(self, result) -> None:
        if result.violations:
            first = result.violations[:4]
            print(f"        round {result.number}: {len(result.violations)} violations, "
                  f"kept in {os.path.relpath(result.folder)}")
            for oracle, text in first:
                print(f"          {oracle}: {text.strip()[-300:]}")
        elif self.options.verbose:
            fired = " ".join(f"{w}={c}" for w, c in sorted(result.fired.items()))
            print(f"        round {result.number}: {result.messages} messages, "
                  f"{result.committed}/{result.aborted}, {result.seconds:.1f} s  {fired}"
                  + (f"  DID NOT BITE: {result.vacuous}" if result.vacuous else ""))
        for note in result.notes if self.options.verbose else []:
            print(f"          {note}")
        sys.stdout.flush()


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weir", default=str(HERE.parent / ".build" / "release" / "weir"))
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--rows", default="", help="F-41,F-42; default: all")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "20")))
    parser.add_argument("--first", type=int, default=1, help="the first round's number")
    parser.add_argument("--seconds", type=float, default=1.5, help="of load in each round")
    parser.add_argument("--selection", action="store_true", help="two minutes of it")
    parser.add_argument("--jobs", type=int, default=1,
                        help="rows at a time, each with a server of its own")
    parser.add_argument("--tally", default="", help=argparse.SUPPRESS)
    parser.add_argument("--seed", default="", help="default: a new one, which is printed")
    parser.add_argument("--failures", type=int, default=3, help="leave a row after so many")
    parser.add_argument("--keep", action="store_true", help="keep the logs of every round")
    parser.add_argument("--verbose", "-v", action="store_true", help="a line for each round")
    options = parser.parse_args(arguments)
    options.seed = options.seed or f"{random.SystemRandom().randrange(16**6):06x}"
    return options


def main() -> int:
    options = parse(sys.argv[1:])
    chosen = [ROWS[name] for name in sorted(ROWS)]
    if options.rows:
        names = [name.strip().upper() for name in options.rows.split(",")]
        unknown = [name for name in names if name not in ROWS]
        if unknown:
            print(f"faults: no such rows: {', '.join(unknown)}; see --list", file=sys.stderr)
            return 64
        chosen = [ROWS[name] for name in names]
    if options.selection:
        chosen = [row for row in chosen if row.selected]
    if options.list:
        for row in chosen:
            print(f"{row.name}  {row.title}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begun = time.monotonic()
    if not options.tally:
        print(f"seed {options.seed}, {options.weir}", flush=True)
    tallies = beside_each_other(options, chosen) if options.jobs > 1 else one_by_one(options, chosen)
    if options.tally:
        Path(options.tally).write_text(json.dumps([t.saved() for t, _ in tallies]))
        return 0
    return summary(tallies, len(chosen), options, time.monotonic() - begun)


def one_by_one(options: argparse.Namespace, chosen: list[Row]) -> list[tuple[Tally, int]]:
    run = Run(options)
    tallies = []
    try:
        for row in chosen:
            wanted = row.selected if options.selection else options.rounds
            print(f"{row.name}  {row.title}", flush=True)
            tally = run.row(row, wanted)
            tallies.append((tally, wanted))
            for reason in sorted(set(tally.reasons))[:3]:
                print(f"        did not bite: {reason}")
            print("  " + tally.line(wanted), flush=True)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    finally:
        run.close()
    return tallies


def beside_each_other(options: argparse.Namespace, chosen: list[Row]) -> list[tuple[Tally, int]]:
    """Each row in a process of its own, which has its own servers."""
    children: list[subprocess.Popen] = []

    def work(row: Row) -> tuple[Tally, int]:
        wanted = row.selected if options.selection else options.rounds
        with tempfile.NamedTemporaryFile() as file:
            child = subprocess.Popen(
                [sys.executable, __file__, *sys.argv[1:], "--jobs", "1", "--rows", row.name,
                 "--seed", options.seed, "--tally", file.name],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            children.append(child)
            print(child.communicate()[0], end="", flush=True)
            saved = json.loads(file.read() or b"[]")
        if saved:
            return Tally.loaded(row, saved[0]), wanted
        tally = Tally(row)
        tally.failed = 1
        return tally, wanted

    pool = ThreadPoolExecutor(options.jobs)
    try:
        return list(pool.map(work, chosen))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            if child.poll() is None:
                child.terminate()


def summary(tallies: list, chosen: int, options: argparse.Namespace, seconds: float) -> int:
    print(f"\nseed {options.seed}, {seconds:.0f} s")
    for tally, wanted in tallies:
        print(tally.line(wanted))
    skipped = [t for t, _ in tallies if t.missing]
    bad = [(t, w) for t, w in tallies if t.verdict(w) != "ok" and t not in skipped]
    committed = sum(t.committed for t, _ in tallies)
    aborted = sum(t.aborted for t, _ in tallies)
    print(
        f"{len(tallies) - len(bad) - len(skipped)} of {chosen} rows ok, {len(skipped)} not run; "
        f"{sum(t.counted for t, _ in tallies)} rounds counted, "
        f"{sum(t.failed for t, _ in tallies)} failed, {sum(t.vacuous for t, _ in tallies)} did not "
        f"bite; {sum(t.messages for t, _ in tallies)} messages; "
        f"ambiguous: {committed} committed, {aborted} aborted"
    )
    if len(tallies) < chosen:
        return 130
    if options.selection:
        # A slow machine may not get a fault to bite in two rounds: that says nothing bad of the gateway.
        unlucky = sum(t.verdict(w) == "DID NOT BITE" for t, w in bad)
        return 1 if len(bad) > unlucky or unlucky > SELECTION_VACUOUS_MAX * chosen else 0
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
