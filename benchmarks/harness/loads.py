"""The loads: wrk against an HTTP server, pgbench and `\\copy` against PostgreSQL itself."""

from __future__ import annotations

import itertools
import json
import os
import re
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from private_postgres import PrivatePostgres

from .processes import BenchmarkError, Service, cpu_seconds, family_cpu_seconds

LOADS = Path(__file__).resolve().parent.parent / "loads"
# insert.lua cuts its requests for IDs of ten digits. A run gets ten million of them to itself, so
# that a request still in flight when its run ended cannot collide with one of the next run.
FIRST_ID, IDS_PER_RUN = 1_000_000_000, 10_000_000


@dataclass
class Sample:
    """One round of one side."""

    count: int
    seconds: float
    p50_us: float | None = None
    p99_us: float | None = None
    mean_us: float | None = None
    server_cpu_us: float | None = None
    postgres_cpu_us: float | None = None

    @property
    def per_second(self) -> float:
        return self.count / self.seconds


class Ids:
    """Hands out a fresh range of record IDs to each run, of whichever row: the database remembers
    the message IDs of all of them."""

    _runs = itertools.count()

    def next_range(self) -> int:
        return FIRST_ID + next(self._runs) * IDS_PER_RUN


def wrk(
    service: Service, url: str, script: str, argument: int, callers: int, seconds: float,
    postgres: PrivatePostgres | None = None, check_answers: bool = False,
    mode: tuple[str, ...] = (), may_refuse: bool = False,
) -> Sample:
    """Keep-alive callers, each with one request in flight; every answer must be a success, unless
    some `may_refuse`: those are not counted then.

    `check_answers` looks into each answer and not only at whether it is below 400.
    """
    command = ["wrk", "-t1", f"-c{callers}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    command += ["--latency", "-s", str(LOADS / script), url, "--", str(argument)]
    command += mode
    environment = {**os.environ, "WRK_COMMON": str(LOADS / "common.lua")}
    if check_answers and not may_refuse:
        environment["WRK_CHECK"] = "1"
    postgres_before = family_cpu_seconds(postgres.pid) if postgres else 0
    before = cpu_seconds(service.pid)
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    service.check_alive()
    used = cpu_seconds(service.pid) - before
    postgres_used = family_cpu_seconds(postgres.pid) - postgres_before if postgres else 0
    summary = _wrk_summary(service, answer, may_refuse)
    count = summary["requests"] - summary["refused"]
    return Sample(
        count=count,
        seconds=summary["microseconds"] / 1e6,
        p50_us=summary["p50_us"],
        p99_us=summary["p99_us"],
        mean_us=summary["mean_us"],
        server_cpu_us=used / count * 1e6,
        postgres_cpu_us=postgres_used / count * 1e6 if postgres else None,
    )


def _wrk_summary(
    service: Service, answer: subprocess.CompletedProcess, may_refuse: bool
) -> dict:
    found = re.search(r"^SUMMARY (.*)$", answer.stdout, re.MULTILINE)
    if not found:
        said = answer.stderr.strip() or answer.stdout.strip()
        raise BenchmarkError(f"wrk against {service.name}: {said}")
    summary = json.loads(found.group(1))
    is_refused = summary["refused"] and not may_refuse
    if is_refused or summary["broken"] or not summary["requests"]:
        raise BenchmarkError(
            f"{service.name}: {summary['requests']} requests, {summary['refused']} answered with "
            f"4xx or 5xx, {summary['broken']} broken or timed out; send one by hand to see why"
        )
    return summary


def pgbench(
    postgres: PrivatePostgres, script: str, callers: int, seconds: float,
    base: int = 0, log_latency: bool = False, tries_max: int = 1,
) -> Sample:
    """Connections that are open before the clock starts, each sending prepared statements."""
    with tempfile.TemporaryDirectory(prefix="pgbench-log-") as folder:
        command = [postgres.program("pgbench"), "-n", "-M", "prepared", "-f", str(LOADS / script)]
        command += ["-c", str(callers), "-j", str(min(callers, 2))]
        command += ["-T", str(max(1, round(seconds))), "-D", f"base={base}", "-D", "n=0"]
        command += ["--max-tries", str(tries_max)]
        if log_latency:
            command += ["-l", "--log-prefix", f"{folder}/transactions"]
        before = family_cpu_seconds(postgres.pid)
        answer = postgres.run(command)
        used = family_cpu_seconds(postgres.pid) - before
        latencies = _logged_latencies(Path(folder)) if log_latency else []
    count = int(_field(answer.stdout, r"transactions actually processed: (\d+)"))
    failed = int(_field(answer.stdout, r"failed transactions: (\d+)"))
    if failed or not count:
        raise BenchmarkError(f"pgbench: {count} transactions, {failed} failed: {answer.stdout}")
    rate = float(_field(answer.stdout, r"tps = ([\d.]+) \(without initial connection time\)"))
    return Sample(
        count=count,
        seconds=count / rate,
        p50_us=_percentile(latencies, 50),
        p99_us=_percentile(latencies, 99),
        mean_us=statistics.fmean(latencies) if latencies else None,
        postgres_cpu_us=used / count * 1e6,
    )


def _field(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    if not found:
        raise BenchmarkError(f"pgbench 15 or later is needed: no `{pattern}` in\n{text}")
    return found.group(1)


def _logged_latencies(folder: Path) -> list[int]:
    """The third field of each line of pgbench's log: microseconds of one transaction."""
    latencies = []
    for log in folder.iterdir():
        with log.open() as lines:
            times = (line.split()[2] for line in lines)
            latencies += [int(time) for time in times if time.isdigit()]
    return latencies


def _percentile(values: list[int], percent: int) -> float | None:
    if not values:
        return None
    return float(sorted(values)[min(len(values) - 1, len(values) * percent // 100)])


def copy_from_file(postgres: PrivatePostgres, table: str, rows: Path, count: int) -> Sample:
    r"""psql's `\copy`, timed by psql itself, so that starting psql does not count."""
    before = family_cpu_seconds(postgres.pid)
    command = [postgres.program("psql"), "-Xq", "-v", "ON_ERROR_STOP=1"]
    command += ["-c", r"\timing on", "-c", rf"\copy {table} FROM '{rows}'"]
    answer = postgres.run(command)
    used = family_cpu_seconds(postgres.pid) - before
    milliseconds = float(_field(answer.stdout, r"Time: ([\d.]+) ms"))
    return Sample(count=count, seconds=milliseconds / 1000, postgres_cpu_us=used / count * 1e6)
