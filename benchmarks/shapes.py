#!/usr/bin/env python3
"""Two ways to write 500 records that name different columns, in one transaction and one round trip:
a statement per shape, or one statement with a presence bitmap. docs/decisions/0009-shapes.md.

pgbench sends either as prepared statements in a pipeline, with the arrays as parameters, over one
connection to a private PostgreSQL. Prints the medians as a Markdown table.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tools")]

from private_postgres import PrivatePostgres  # noqa: E402  (after the path is set)

RECORDS = 500
# Rows of the table; the records change every 200th.
TABLE_ROWS = 100_000
SPACING = TABLE_ROWS // RECORDS
# What the catalog says of a column that is left out; each is inlined by the bitmap.
DEFAULTS = ["NULL", "1", "NULL", "3", "NULL", "'x'::text"]
TYPES = ["int4", "int4", "int4", "int4", "int4", "text"]
COLUMNS = range(len(TYPES))
SCHEMA = f"""
DROP TABLE IF EXISTS t; DROP SEQUENCE IF EXISTS ids;
CREATE SEQUENCE ids CACHE 1000;
CREATE TABLE t (id bigint PRIMARY KEY DEFAULT nextval('ids'), c0 int, c1 int DEFAULT 1, c2 int,
    c3 int NOT NULL DEFAULT 3, c4 int, c5 text DEFAULT 'x') WITH (fillfactor = 50);
"""
ROWS = f"INSERT INTO t (id) SELECT -g FROM generate_series(1, {TABLE_ROWS}) g; VACUUM ANALYZE t;"
# As the gateway's sessions have it: a statement is planned once.
SETTINGS = {"plan_cache_mode": "force_generic_plan", "max_wal_size": "8GB"}
MASKS = {1: [0b010101], 4: [0b000111, 0b111000, 0b010101, 0b101010], 64: list(range(64))}


def value(column: int, record: int) -> str:
    return f"note{record}" if TYPES[column] == "text" else str(record * 7 + column)


def array(items: list[str]) -> str:
    return "{" + ",".join(items) + "}"


class Script:
    """What one transaction sends, and the parameters."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.parameters: dict[str, str] = {}

    def parameter(self, name: str, items: list[str], type: str) -> str:
        self.parameters[name] = array(items)
        return f":{name}::{type}[]"

    def text(self) -> str:
        parts = ["BEGIN", *self.statements, "COMMIT"]
        return "\\startpipeline\n" + "".join(f"{part};\n" for part in parts) + "\\endpipeline\n"


def grouped(operation: str, masks: list[int]) -> Script:
    """A statement for each column set, as the gateway writes them."""
    script = Script()
    for mask in sorted(set(masks)):
        records = [n for n in range(RECORDS) if masks[n % len(masks)] == mask]
        present = [c for c in COLUMNS if mask >> c & 1]
        arrays = [script.parameter(f"s{mask}_id", [str(-1 - n * SPACING) for n in records], "int8")]
        for c in present:
            items = [value(c, n) for n in records]
            arrays.append(script.parameter(f"s{mask}_c{c}", items, TYPES[c]))
        names = ["id", *(f"c{c}" for c in present)]
        values = ["nextval('ids')" if operation == "insert" else "u.id", *names[1:]]
        source = f"unnest({', '.join(arrays)}) AS u({', '.join(names)})"
        insert = f"INSERT INTO t ({', '.join(names)}) SELECT {', '.join(values)} FROM {source}"
        changes = [f"c{c} = {{}}.c{c}" for c in present]
        if operation == "insert":
            script.statements.append(insert)
        elif operation == "upsert":
            changes = [c.format("excluded") for c in changes] or ["id = excluded.id"]
            script.statements.append(
                f"{insert} ON CONFLICT (id) DO UPDATE SET {', '.join(changes)} "
                "RETURNING (t.xmax = 0)"
            )
        elif changes:
            changes = [c.format("u") for c in changes]
            script.statements.append(
                f"UPDATE t SET {', '.join(changes)} FROM {source} WHERE t.id = u.id RETURNING u.id"
            )
        else:
            script.statements.append(f"SELECT u.id FROM {source} JOIN t ON t.id = u.id")
    return script


def bitmap(operation: str, masks: list[int]) -> Script:
    """One statement for all: a value or NULL for every column, and which of them were named."""
    script = Script()
    all_masks = [masks[n % len(masks)] for n in range(RECORDS)]
    ids = script.parameter("id", [str(-1 - n * SPACING) for n in range(RECORDS)], "int8")
    arrays = [ids, script.parameter("p", [str(mask) for mask in all_masks], "int8")]
    for c in COLUMNS:
        items = [value(c, n) if all_masks[n] >> c & 1 else "NULL" for n in range(RECORDS)]
        arrays.append(script.parameter(f"c{c}", items, TYPES[c]))
    names = ", ".join(f"c{c}" for c in COLUMNS)
    source = f"unnest({', '.join(arrays)}) AS u(id, p, {names})"
    new = [f"CASE WHEN u.p & {1 << c} <> 0 THEN u.c{c} ELSE {DEFAULTS[c]} END" for c in COLUMNS]
    kept = [
        f"c{c} = CASE WHEN {{0}} & {1 << c} <> 0 THEN {{1}}.c{c} ELSE t.c{c} END" for c in COLUMNS
    ]
    if operation == "insert":
        script.statements.append(f"INSERT INTO t ({names}) SELECT {', '.join(new)} FROM {source}")
    elif operation == "upsert":
        # EXCLUDED has the table's columns and no other: the bitmap is found again by the key.
        named = f"(:p::int8[])[array_position({ids}, excluded.id)]"
        changes = ", ".join(change.format(named, "excluded") for change in kept)
        script.statements.append(
            f"INSERT INTO t (id, {names}) SELECT u.id, {', '.join(new)} FROM {source} "
            f"ON CONFLICT (id) DO UPDATE SET {changes} RETURNING (t.xmax = 0)"
        )
    elif operation == "upsert, MERGE":
        changes = ", ".join(change.format("u.p", "u") for change in kept)
        script.statements.append(
            f"MERGE INTO t USING {source} ON t.id = u.id WHEN MATCHED THEN UPDATE SET {changes} "
            f"WHEN NOT MATCHED THEN INSERT (id, {names}) VALUES (u.id, {', '.join(new)})"
        )
    else:
        changes = ", ".join(change.format("u.p", "u") for change in kept)
        script.statements.append(
            f"UPDATE t SET {changes} FROM {source} WHERE t.id = u.id RETURNING u.id"
        )
    return script


def rows_per_second(postgres: PrivatePostgres, script: Script, seconds: int) -> float:
    postgres.psql(SCHEMA)
    postgres.psql(ROWS)
    postgres.psql("CHECKPOINT")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script.text())
        file.flush()
        command = [postgres.program("pgbench"), "-n", "-M", "prepared", "-c", "1"]
        command += ["-T", str(seconds), "-f", file.name]
        for name, items in script.parameters.items():
            command += ["-D", f"{name}={items}"]
        answer = postgres.run(command)
    found = re.search(r"tps = ([\d.]+)", answer.stdout)
    if not found or "failed transactions: 0 " not in answer.stdout:
        raise SystemExit(f"pgbench: {answer.stdout}{answer.stderr}")
    check(postgres)
    return float(found.group(1)) * RECORDS


def check(postgres: PrivatePostgres) -> None:
    """Absent columns have their default or their old value, which are the same here."""
    wrong = postgres.psql("SELECT count(*) FROM t WHERE c1 IS NULL OR c3 IS NULL OR c5 IS NULL")
    if int(wrong) != 0:
        raise SystemExit(f"{wrong} rows are not what was sent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1)
    arguments = parser.parse_args()
    print("| operation | shapes | a statement per shape | one, with a bitmap | ratio |")
    print("|---|--:|--:|--:|--:|")
    with PrivatePostgres(settings=SETTINGS) as postgres:
        for operation in ("insert", "upsert", "upsert, MERGE", "patch"):
            for count, masks in MASKS.items():
                sides = [grouped(operation.split(",")[0], masks), bitmap(operation, masks)]
                rates: list[list[float]] = [[], []]
                for _ in range(arguments.rounds):
                    for side, script in enumerate(sides):
                        rates[side].append(rows_per_second(postgres, script, arguments.seconds))
                a, b = (statistics.median(rate) for rate in rates)
                rate = f"{a:,.0f}/s | {b:,.0f}/s | {b / a:.2f}"
                print(f"| {operation} | {count} | {rate} |", flush=True)


if __name__ == "__main__":
    main()
