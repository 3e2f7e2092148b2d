"""What PostgreSQL itself says: the rows, the connections, the deadlocks. All by psql."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from packages import KEY

HERE = Path(__file__).resolve().parent

# Small enough to miss nothing that lasts, large enough to disturb nobody.
WATCH_SECONDS = 0.1
DIFFERENCES_MAX = 10


class DatabaseError(RuntimeError):
    """psql said no."""


class Database:
    def __init__(self, conninfo: str, psql: str = "psql"):
        self.conninfo = conninfo
        self.command = [psql, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", conninfo]

    def create_tables(self) -> None:
        self.run((HERE / "schema.sql").read_text())

    def run(self, sql: str) -> str:
        answer = subprocess.run(
            [*self.command, "-f", "-"], input=sql, capture_output=True, encoding="utf-8"
        )
        if answer.returncode != 0:
            raise DatabaseError(f"psql: {answer.stderr.strip()}")
        return answer.stdout.strip()

    def rows(self, table: str) -> Iterator[dict]:
        """Every row. Numbers with a point stay text, digit for digit."""
        decode = json.JSONDecoder(parse_float=str).decode
        command = [*self.command, "-c", f"SELECT row_to_json(t) FROM {table} t"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as psql:
            yield from map(decode, psql.stdout)
        if psql.returncode != 0:
            raise DatabaseError(f"psql could not read {table}")

    def statistics(self) -> dict[str, int]:
        names = ("xact_commit", "xact_rollback", "deadlocks")
        row = self.run(
            f"SELECT {', '.join(names)} FROM pg_stat_database WHERE datname = current_database()"
        )
        return dict(zip(names, map(int, row.split("|"))))

    def compare(
        self, table: str, expected: dict[tuple, dict], unacknowledged: dict[tuple, str]
    ) -> "Comparison":
        """Field by field, every row and every column that the table has."""
        result = Comparison(table, unacknowledged)
        missing = set(expected)
        for row in self.rows(table):
            key = tuple(row[column] for column in KEY)
            if key in missing:
                missing.remove(key)
                result.add_row(key, expected[key], row)
            else:
                result.differ(key, "in the table and nowhere else")
        for key in missing:
            result.differ(key, "missing from the table")
        return result


class Comparison:
    """`fields` were compared; the differences are kept in words.

    A row that differs although its write was acknowledged is `lost`: the worst there is.
    """

    def __init__(self, table: str, unacknowledged: dict[tuple, str]):
        self.table = table
        self.unacknowledged = unacknowledged
        self.lost: set[tuple] = set()
        self.rows = 0
        self.fields = 0
        self.empty = 0
        self.null = 0
        self.difference_count = 0
        self.differences: list[str] = []

    def differ(self, key: tuple, text: str) -> None:
        self.difference_count += 1
        answer = self.unacknowledged.get(key, "acknowledged")
        if key not in self.unacknowledged:
            self.lost.add(key)
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(f"{' '.join(key)} [{answer}]: {text}")

    def add_row(self, key: tuple, expected: dict, found: dict) -> None:
        self.rows += 1
        if found.pop("loaded_at", None) is None:
            self.differ(key, "loaded_at did not get its default")
        values = list(found.values())
        self.fields += len(values)
        self.empty += values.count("")
        self.null += values.count(None)
        if found == expected:
            return
        for column in expected.keys() | found.keys():
            value = found.get(column, "no such column")
            wanted = expected.get(column, "no such column")
            # Of a column that several callers write, a set: one of these must have been last.
            is_right = value in wanted if isinstance(wanted, frozenset) else value == wanted
            if not is_right:
                self.differ(key, f"{column} is {value!r}, should be {wanted!r}")


class ConnectionWatch:
    """Counts the gateway's connections in pg_stat_activity, ten times a second."""

    def __init__(self, database: Database):
        self.peak = 0
        self._process = subprocess.Popen(
            database.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process.stdin.write(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weir'"
            f" \\watch {WATCH_SECONDS}\n"
        )
        self._process.stdin.flush()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            if line.strip().isdigit():
                self.peak = max(self.peak, int(line))

    @property
    def is_whole(self) -> bool:
        """Whether the database could be asked all the time."""
        return self._process.poll() is None

    def __enter__(self) -> "ConnectionWatch":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
