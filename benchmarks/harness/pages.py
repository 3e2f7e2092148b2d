"""Pages of dead letters and of history over HTTP, with a million rows behind them."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse

from .processes import BenchmarkError
from .report import Figure
from .sides import Bench, Gateway

ROWS = 1_000_000
REQUESTS = 200
BOUND_MS = 50
# 40 groups in four tables, one of which has half of all letters; a letter a second.
FILL = f"""
INSERT INTO weir.dead_letter (fingerprint, at, table_name, operation, message_id, message, key,
    media_type, sqlstate, constraint_name, code, reason, raw, request, instance, version)
SELECT g, now() - ({ROWS} - i) * interval '1 second', 'table' || g % 4, 'insert', 'letter-' || i,
    substr(encode(sha256(('letter-' || i)::bytea), 'hex'), 1, 32)::uuid, '{{"id":' || i || '}}',
    'application/json', CASE WHEN g % 2 = 0 THEN '23514' ELSE '23505' END, 'constraint' || g,
    CASE WHEN g % 2 = 0 THEN 'check-violation' ELSE 'unique-violation' END,
    'new row violates a constraint', convert_to('{{"id":' || i || ',"note":"'
        || repeat('x', 250) || '"}}', 'UTF8'), 'req_' || i, 'host/1', '1'
FROM (SELECT i, CASE WHEN i % 2 = 0 THEN 0 ELSE 1 + i / 2 % 39 END AS g
      FROM generate_series(1, {ROWS}) AS i) AS letters;
INSERT INTO weir.attempt_a (id, attempt, records, outcome, instance, version)
SELECT md5('attempt' || i)::uuid, 1, 100, 0, 'host/1', '1' FROM generate_series(0, {ROWS // 100}) AS i;
INSERT INTO weir.replay_a (id, attempt_id, fingerprint, outcome, request)
SELECT substr(encode(sha256(('message-' || i)::bytea), 'hex'), 1, 32)::uuid,
    md5('attempt' || i / 100)::uuid, i, 0, 'req_' || i FROM generate_series(1, {ROWS}) AS i;
ANALYZE weir.dead_letter, weir.attempt_a, weir.replay_a;
CHECKPOINT;
"""
EMPTY = "TRUNCATE weir.dead_letter, weir.replay_a, weir.attempt_a"


def pages(bench: Bench) -> list[Figure]:
    letters = Figure(
        "pages-letters", f"slowest page of 100 dead letters of {ROWS:,}, p99", "<", BOUND_MS, None,
        unit=" ms",
    )
    groups = Figure(
        "pages-groups", "their groups, with counts, p99", "<", BOUND_MS, None, unit=" ms"
    )
    history = Figure(
        "pages-history", f"a message of {ROWS:,} that only the database knows, p99", "<", BOUND_MS,
        None, unit=" ms",
    )
    with bench.gateway() as gateway:
        if gateway is None:
            return [letters, groups, history]
        bench.postgres.psql(FILL)
        try:
            measure(gateway, letters, letter_paths(gateway))
            measure(gateway, groups, {"groups": ["/v1/dead-letters/groups"]})
            messages = [f"/v1/messages/message-{i}" for i in range(1, ROWS, ROWS // REQUESTS)]
            measure(gateway, history, {"message": messages})
        finally:
            bench.postgres.psql(EMPTY)
    return [letters, groups, history]


def letter_paths(gateway: Gateway) -> dict[str, list[str]]:
    """Each choice as its first page, and as one from the middle."""
    choices = {
        "all": {}, "table": {"table": "table0"}, "table with few": {"table": "table3"},
        "sqlstate": {"sqlstate": "23505"}, "code": {"code": "check-violation"},
        "constraint": {"constraint": "constraint7"},
        "time": {"since": "9d", "until": "5d"},
        "table and time": {"table": "table1", "since": "9d", "until": "5d"},
        "message": {"message": "letter-500000"},
        "oldest": {"order": "oldest", "table": "table2"},
    }
    paths = {}
    for name, choice in choices.items():
        query = urllib.parse.urlencode(choice)
        paths[name] = [f"/v1/dead-letters?{query}"]
    groups = json.loads(get(connect(gateway), "/v1/dead-letters/groups")[1])["groups"]
    if sum(group["count"] for group in groups) != ROWS or len(groups) != 40:
        raise BenchmarkError(f"the groups do not add up: {len(groups)} groups")
    smallest = groups[-1]["fingerprint"]
    paths["fingerprint"] = [f"/v1/dead-letters?fingerprint={smallest}"]
    middle = json.loads(get(connect(gateway), "/v1/dead-letters?until=6d&limit=1")[1])["next"]
    for name in ("all", "table", "sqlstate"):
        paths[f"{name}, from the middle"] = [f"{paths[name][0]}&after={middle}"]
    return paths


def measure(gateway: Gateway, figure: Figure, kinds: dict[str, list[str]]) -> None:
    """One caller, one request after another, each kind as often as the others."""
    connection = connect(gateway)
    slowest: dict[str, dict[str, float]] = {}
    for name, paths in kinds.items():
        times = []
        for number in range(REQUESTS + 5):
            path = paths[number % len(paths)]
            begun = time.perf_counter()
            status, body = get(connection, path)
            if number >= 5:
                times.append((time.perf_counter() - begun) * 1000)
            if status != 200 or (b'"id"' not in body and b'"groups"' not in body):
                raise BenchmarkError(f"GET {path} was answered {status}: {body[:200]!r}")
        times.sort()
        slowest[name] = {
            "p50_ms": round(times[len(times) // 2], 2), "p99_ms": round(times[-2], 2)
        }
        print(f"   {name}: p50 {slowest[name]['p50_ms']} ms, p99 {slowest[name]['p99_ms']} ms",
              flush=True)
    figure.notes |= {"kinds": slowest}
    figure.value = max(kind["p99_ms"] for kind in slowest.values())
    figure.weir = f"p50 {max(kind['p50_ms'] for kind in slowest.values())} ms"


def connect(gateway: Gateway) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=10)


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()
