#!/usr/bin/env python3
"""Measures Weir against its peers on a private PostgreSQL; see benchmarks/README.md.

Exit codes: 0 every figure holds, 99 one misses, 1 one could not be measured, 69 no database.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "benchmarks"), str(REPOSITORY / "tools")]

from harness import machine, report  # noqa: E402  (after the path is set)
from harness.processes import BenchmarkError  # noqa: E402
from harness.report import Figure  # noqa: E402
from harness.rows import ROWS  # noqa: E402
from harness.sides import SETTINGS, Bench, Options, raise_open_files_limit  # noqa: E402
from private_postgres import PostgresError, PrivatePostgres  # noqa: E402

RELEASE = REPOSITORY / ".build" / "release"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Weir against its peers.")
    parser.add_argument("--only", action="append", choices=ROWS, help="this row (repeatable)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side (default 5)")
    parser.add_argument("--seconds", type=float, default=6, help="length of a round (default 6)")
    parser.add_argument("--weir", type=Path, default=RELEASE / "weir", metavar="PATH")
    parser.add_argument("--echo", type=Path, default=RELEASE / "nio-echo", metavar="PATH")
    parser.add_argument(
        "--decode-times", type=Path, default=RELEASE / "decode-times", metavar="PATH"
    )
    parser.add_argument(
        "--echo-threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
        help="event loops of the echo (default: one per core, as a NIO server has)",
    )
    parser.add_argument("--connections", type=int, metavar="N", help="passed to `weir serve`")
    parser.add_argument(
        "--weir-arguments", default="", metavar="TEXT", help="more arguments for `weir serve`"
    )
    parser.add_argument(
        "--peers-only", action="store_true", help="measure only what Weir is compared with"
    )
    parser.add_argument("--dir", type=Path, help="where to put the database (default: TMPDIR)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round here")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table here")
    return parser.parse_args()


def options_of(arguments: argparse.Namespace) -> Options:
    return Options(
        weir=arguments.weir.resolve(),
        echo=arguments.echo.resolve(),
        decode_times=arguments.decode_times.resolve(),
        echo_threads=arguments.echo_threads,
        connections=arguments.connections,
        weir_arguments=shlex.split(arguments.weir_arguments),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        peers_only=arguments.peers_only,
    )


def check_tools() -> None:
    if not Path("/proc/self/stat").exists():
        raise BenchmarkError("CPU and memory are read from /proc: run the benchmark on Linux")
    if not shutil.which("wrk"):
        raise BenchmarkError("`wrk` is not installed: `apt-get install wrk`")


def measure(name: str, bench: Bench) -> list[Figure]:
    """One row. A row that cannot be measured says why and does not stop the others."""
    print(f"\n== {name}", flush=True)
    try:
        figures = ROWS[name](bench)
    except (BenchmarkError, PostgresError, OSError) as error:
        print(f"   error: {error}", flush=True)
        return [Figure(name, f"{name}: not measured", ">=", 0, None, error=str(error))]
    for figure in figures:
        measure_name = "p50_us" if name == "lone" else "per_second"
        for side in figure.sides:
            print("   " + side.line(measure_name))
        print(f"   {figure.title}: {figure.shown_value}, held to {figure.shown_bound}: "
              f"{figure.verdict}", flush=True)
    return figures


def write_files(
    arguments: argparse.Namespace, facts: dict, options: Options, figures: list[Figure]
) -> None:
    if arguments.json:
        used = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
        for program in ("weir", "echo", "decode_times"):
            used[program] = getattr(options, program).name
        report.write_json(arguments.json, facts, used | {"postgresql": SETTINGS}, figures)
    if arguments.markdown:
        report.write_markdown(arguments.markdown, facts, figures)


def exit_code(figures: list[Figure]) -> int:
    verdicts = {figure.verdict for figure in figures}
    return 1 if "error" in verdicts else 99 if "MISS" in verdicts else 0


def run(arguments: argparse.Namespace) -> int:
    check_tools()
    raise_open_files_limit()
    options = options_of(arguments)
    started = time.monotonic()
    with PrivatePostgres(folder=arguments.dir, settings=SETTINGS) as postgres:
        facts = machine.describe(postgres)
        print(report.machine_text(facts))
        for complaint in machine.complaints(facts):
            print(f"warning: {complaint}")
        bench = Bench(options, postgres)
        try:
            figures = [f for name in arguments.only or ROWS for f in measure(name, bench)]
        finally:
            bench.close()
    print(f"\n{report.text_table(figures)}\n\n{time.monotonic() - started:.0f} s in all")
    write_files(arguments, facts, options, figures)
    return exit_code(figures)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run(parse_arguments())
    except KeyboardInterrupt:
        return 130
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except PostgresError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 69


if __name__ == "__main__":
    sys.exit(main())
