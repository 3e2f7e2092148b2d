"""The rows about what a record means: what decoding and validating cost, and mixed shapes."""

from __future__ import annotations

import json
import subprocess

from . import bulk
from .loads import Ids, Sample
from .processes import BenchmarkError
from .report import Figure, Side
from .sides import Bench

# As many as a batch may hold here, so that each batch has every shape.
LINES_PER_REQUEST = 500
SHAPES = 64
OPTIONAL_COLUMNS = 6


def decode_times(bench: Bench) -> dict[str, float]:
    """Nanoseconds of CPU per record, by case: what `benchmarks/decode` prints."""
    program = bench.options.decode_times
    if not program.exists():
        raise BenchmarkError(
            f"{program.name} is not built: `swift build -c release --product decode-times`"
        )
    rounds = str(max(3, 3 * bench.options.rounds))
    answer = subprocess.run([str(program), rounds], capture_output=True, text=True)
    if answer.returncode != 0:
        raise BenchmarkError(f"{program.name}: {answer.stderr.strip()[-300:]}")
    return json.loads(answer.stdout)


def decoding(bench: Bench, insert_round) -> list[Figure]:
    """Decoding by itself, over all that the gateway spends on the same record's request."""
    title = "CPU of decoding a 95-byte record, of the gateway's CPU for the whole request"
    share = Figure("decode", title, "<", 15, None, unit=" %")
    times = decode_times(bench)
    share.weir = f"{times['own small']:.0f} ns"
    share.notes["times"] = times
    side = Side("weir")
    with bench.gateway() as gateway:
        if gateway is None:
            return [share, validation(times)]
        take = insert_round(bench, Ids(), gateway.service, gateway.records_url)
        bench.prepare()
        take(min(2, bench.options.seconds), True)
        for _ in range(bench.options.rounds):
            bench.prepare()
            side.samples.append(take(bench.options.seconds, False))
    whole = side.median("server_cpu_us")
    share.peer = f"{whole:.1f} µs"
    share.value = 100 * times["own small"] / 1000 / whole
    share.sides = [side]
    return [share, validation(times)]


def validation(times: dict[str, float]) -> Figure:
    """One record for columns that declare ranges, lengths, labels, precision and NOT NULL, and for
    columns that take any number or text."""
    plain, declared = times["plain"], times["declared"]
    return Figure(
        "validation", "validating a record of ten columns, on top of decoding it", "<", 10,
        100 * (declared / plain - 1), weir=f"{declared:.0f} ns", peer=f"{plain:.0f} ns", unit=" %",
    )


def shaped_requests(port: int, count: int, shapes: int) -> list[bytes]:
    """Inserts that name some of six optional columns: which ones, their number says. With one
    shape each names three; with 64 each set occurs, and three is what they name on average."""
    requests = []
    for first in range(0, count * LINES_PER_REQUEST, LINES_PER_REQUEST):
        lines = []
        for number in range(first, first + LINES_PER_REQUEST):
            named = 0b010101 if shapes == 1 else number % shapes
            members = "".join(
                f',"c{column}":{number % 997}' for column in range(OPTIONAL_COLUMNS)
                if named >> column & 1
            )
            data = f'{{"id":{bulk.FIRST_ID + number}{members}}}'
            lines.append(f'{{"op":"insert","table":"shaped","data":{data}}}\n')
        body = "".join(lines).encode()
        head = (
            f"POST /v1/bulk HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def shapes(bench: Bench, alternate, ratio_figure) -> list[Figure]:
    title = "rows/s of batches of 500 records in 64 shapes, against the same in one shape"
    requests = bulk.CALLERS * max(1, round(25 * bench.options.seconds))
    with bench.gateway(f"WEIR_BATCH_MAX_RECORDS={LINES_PER_REQUEST}") as gateway:
        if gateway is None:
            return [Figure("shapes", title, ">=", 0.5, None, unit=" ×")]
        bodies = {n: shaped_requests(gateway.port, requests, n) for n in (1, SHAPES)}

        def sender(shapes: int):
            def send(_: float, is_warm_up: bool) -> Sample:
                some = bodies[shapes][: bulk.CALLERS] if is_warm_up else bodies[shapes]
                bench.postgres.psql("TRUNCATE shaped; CHECKPOINT;")
                sample = bulk.send(
                    gateway.service, gateway.port, some, bench.postgres, LINES_PER_REQUEST
                )
                bench.check_stored(sample.count, 0, table="shaped")
                return sample

            return send

        mixed, uniform = alternate(bench, sender(SHAPES), sender(1), "one shape")
    return [ratio_figure("shapes", title, ">=", 0.5, mixed, uniform)]
