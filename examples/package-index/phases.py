"""The writes: one function per direction of the API. Each sends, and keeps `expected` in step."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from client import Answer, Script, request
from packages import key_of, ratio_of, row_of, to_text, without_key

PACKAGES = "package_index.packages"
COPIES = "package_index.copies"
SLOTS = 10

Key = tuple[str, ...]


class Loader:
    """The records, the rows that must come of them, and what the gateway answered."""

    def __init__(self, records: list[dict], callers: int):
        self.records = records
        self.callers = callers
        self.expected: dict[Key, dict] = {key_of(record): row_of(record) for record in records}
        self.results: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self.first_problem: dict[str, str] = {}
        # Rows with a write that was not acknowledged, and its answer: no other row may differ.
        self.unacknowledged: dict[Key, str] = {}
        self.batches: Counter[str] = Counter()
        self.chunks = 0

    # One request per record

    def insert(self) -> list[Script]:
        return self._each(self.records, lambda r: (_insert(r), key_of(r), 201, "inserted"))

    def upsert(self) -> list[Script]:
        """Every row, with all it had but `tags`: an absent column of a row must stay as it is."""
        def put(record: dict) -> tuple:
            data = without_key(record) | {"revision": 2}
            data.pop("tags", None)
            key = key_of(record)
            self.expected[key] |= {"revision": 2}
            return _write("PUT", key, data), key, 200, "updated"

        return self._each(self.records, put)

    def patch(self) -> list[Script]:
        """Absent, null and empty side by side: `note` is left alone, made NULL, made empty text."""
        def patch(numbered: tuple[int, dict]) -> tuple:
            number, record = numbered
            data = {"revision": 3, "ratio": ratio_of(record)}
            if number % 3:
                data["note"] = None if number % 3 == 1 else ""
            key = key_of(record)
            self.expected[key] |= data
            return _write("PATCH", key, data), key, 200, "updated"

        return self._each(enumerate(self.records), patch)

    def sample(self) -> list[dict]:
        return self.records[::20]

    def delete(self) -> list[Script]:
        def delete(record: dict) -> tuple:
            key = key_of(record)
            self.expected.pop(key)
            return _write("DELETE", key), key, 200, "deleted"

        return self._each(self.sample(), delete)

    def insert_again(self) -> list[Script]:
        """One half by POST; the other by PUT, which inserts where there is no row."""
        def insert(numbered: tuple[int, dict]) -> tuple:
            number, record = numbered
            key = key_of(record)
            self.expected[key] = row_of(record)
            write = _insert(record) if number % 2 else _write("PUT", key, without_key(record))
            return write, key, 201, "inserted"

        return self._each(enumerate(self.sample()), insert)

    def edited(self) -> list[dict]:
        step = max(1, len(self.records) // 100)
        return self.records[::step][:100]

    def edit(self, count: int) -> list[Script]:
        """100 rows, each edited `count` times (rounded up to tens) by ten callers at once.

        A caller counts in a column of its own, so the last number that was acknowledged must be the
        one stored. `edited_by` they all share: it must name the last edit of one of them.
        """
        keys = [key_of(record) for record in self.edited()]
        groups = max(1, self.callers // SLOTS)
        rounds = -(-count // SLOTS)

        def caller(number: int) -> Script:
            group, slot = divmod(number, SLOTS)
            # Every row has one caller per slot, and two rows seldom have the same ten.
            mine = [key for at, key in enumerate(keys) if (at + slot) % groups == group]
            order = random.Random(number)
            for turn in range(1, rounds + 1):
                order.shuffle(mine)
                for key in mine:
                    data = {f"edit_{slot}": turn, "edited_by": f"caller {number}, edit {turn}"}
                    answer = yield _write("PATCH", key, data)
                    self._check(answer, key, 200, "updated")

        for at, key in enumerate(keys):
            row = self.expected[key]
            last = []
            for slot in range(SLOTS):
                row[f"edit_{slot}"] = rounds
                last.append(f"caller {(at + slot) % groups * SLOTS + slot}, edit {rounds}")
            row["edited_by"] = frozenset(last)
        return [caller(number) for number in range(groups * SLOTS)]

    # Many records per request

    def expect_copies(self) -> None:
        """The second table starts anew with each way of loading it."""
        self.expected = {key_of(record): row_of(record) for record in self.records}
        self.unacknowledged.clear()

    def array(self) -> list[Script]:
        def post(records: list[dict]) -> tuple:
            body = [_wire(record) for record in records]
            return request("POST", f"/v1/tables/{COPIES}/records", body), records

        return self._each_slice(_slices(self.records, 2_000), post)

    def csv(self) -> list[Script]:
        """CSV says of no single row that a column is absent: one request per set of columns."""
        by_columns: dict[tuple, list[dict]] = {}
        for record in self.records:
            by_columns.setdefault(tuple(record), []).append(record)

        def post(records: list[dict]) -> tuple:
            text = io.StringIO()
            writer = csv.writer(text, quoting=csv.QUOTE_ALL)
            writer.writerow(records[0])
            writer.writerows(_texts(record) for record in records)
            path = f"/v1/tables/{COPIES}/records"
            return request("POST", path, text.getvalue().encode(), "text/csv"), records

        slices = (part for same in by_columns.values() for part in _slices(same, 2_000))
        return self._each_slice(slices, post)

    def bulk(self) -> list[Script]:
        return self._each_slice(_slices(self.records, 5_000), lambda records: (
            _bulk(_line("insert", record, data=_wire(record)) for record in records), records
        ))  # fmt: skip

    def mixed_bulk(self) -> list[Script]:
        """Four operations on each row, in one request: the order of a key's lines must hold."""
        def write(records: list[dict]) -> tuple:
            lines = []
            for record in records:
                again = without_key(_wire(record)) | {"revision": 2}
                lines += [
                    _line("delete", record, key=_key_object(record)),
                    _line("insert", record, data=_wire(record)),
                    _line("upsert", record, key=_key_object(record), data=again),
                    _line("patch", record, key=_key_object(record), data={"note": ""}),
                ]
                self.expected[key_of(record)] = row_of(record) | {"revision": 2, "note": ""}
            return _bulk(lines), [record for record in records for _ in range(4)]

        return self._each_slice(_slices(self.sample(), 500), write)

    # Callers

    def _each(self, items: Iterable, make: Callable[..., tuple]) -> list[Script]:
        """Callers that share the items: whoever is free takes the next."""
        rest = iter(items)

        def caller() -> Script:
            for item in rest:
                sent, key, status, result = make(item)
                answer = yield sent
                self._check(answer, key, status, result)

        return [caller() for _ in range(self.callers)]

    def _each_slice(self, slices: Iterable[list[dict]], make: Callable[..., tuple]) -> list[Script]:
        rest = iter(slices)

        def caller() -> Script:
            for records in rest:
                sent, wanted = make(records)
                answer = yield sent
                self._check_many(answer, wanted)

        return [caller() for _ in range(4)]

    # Answers

    def _check(self, answer: Answer, key: Key, status: int, result: str) -> None:
        body = answer.json()
        if answer.status != status or body.get("result") != result:
            what = f"{answer.status} {body.get('code', body.get('result'))}"
            return self._report(what, body, [key] if answer.status >= 300 else [])
        if tuple(body["key"].values()) != key:
            return self._report("answer of another record", body)
        self.results[result] += 1
        self.batches[body["batch"]["id"]] += 1

    def _check_many(self, answer: Answer, records: list[dict]) -> None:
        if answer.status not in (200, 207):
            body = answer.json()
            keys = [key_of(record) for record in records]
            return self._report(f"{answer.status} {body.get('code')}", body, keys)
        if answer.chunks:
            *items, last = map(json.loads, answer.body.splitlines())
            counts = last["summary"]
            self.chunks += answer.chunks
        else:
            body = answer.json()
            items, counts = body["items"], body["counts"]
        if sorted(item["index"] for item in items) != list(range(len(records))):
            self._report("an item for each record is missing", counts)
        for item in items:
            if item["status"] >= 300:
                what = f"{item['status']} {item['error']['code']}"
                self._report(what, item, [key_of(records[item["index"]])])
            elif tuple(item["key"].values()) != key_of(records[item["index"]]):
                self._report("answer of another record", item)
            else:
                self.results[item["result"]] += 1

    def _report(self, what: str, body: dict, keys: Iterable[Key] = ()) -> None:
        self.problems[what] += 1
        for key in keys:
            self.unacknowledged.setdefault(key, what)
        self.first_problem.setdefault(what, json.dumps(body, ensure_ascii=False)[:400])


# The wire


def _wire(record: dict) -> dict:
    """As JSON: all as it is but text[], which is sent in PostgreSQL's own form."""
    return record | {"tags": to_text(record["tags"])} if "tags" in record else record


def _texts(record: dict) -> Iterator[str]:
    """As CSV: every value in its text form."""
    for column, value in record.items():
        if column == "tags":
            yield to_text(value)
        elif isinstance(value, (list, dict, bool)):
            yield json.dumps(value, ensure_ascii=False)
        else:
            yield str(value)


def _insert(record: dict) -> bytes:
    return request("POST", f"/v1/tables/{PACKAGES}/records", _wire(record))


def _write(method: str, key: Key, data: dict | None = None) -> bytes:
    path = f"/v1/tables/{PACKAGES}/records/" + ",".join(quote(part, safe="") for part in key)
    return request(method, path, None if data is None else _wire(data))


def _key_object(record: dict) -> dict:
    return dict(zip(("package", "version", "architecture"), key_of(record)))


def _line(operation: str, record: dict, **rest: dict) -> str:
    line = {"op": operation, "table": COPIES, **rest}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _bulk(lines: Iterable[str]) -> bytes:
    body = "\n".join(lines).encode()
    accept = "Accept: application/x-ndjson\r\n"
    return request("POST", "/v1/bulk", body, "application/x-ndjson", accept)


def _slices(records: list[dict], size: int) -> Iterator[list[dict]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]
