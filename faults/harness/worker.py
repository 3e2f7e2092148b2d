"""What a caller sends: records of its own keys, new ones, the same again, bad ones and bursts."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from typing import TYPE_CHECKING

from . import model
from .web import Request

if TYPE_CHECKING:
    from .caller import Callers

# What a caller does next, in parts of a thousand: 70 % new, 20 % again, 5 % poison, 5 % bursts.
MIX = {
    "append": 160, "stream": 40, "anonymous": 50, "dead": 60, "tick": 110, "upsert": 150,
    "life": 40, "pair": 30, "bulk": 60,
    "poison": 40, "poison_dead": 10, "burst": 50, "twins": 100, "again": 100,
}


class Worker:
    """A caller with keys of its own and one thing at a time, so that it has its own order."""

    def __init__(self, callers: Callers, number: int):
        config = callers.config
        self.callers = callers
        self.name = f"{config['run']}.{config['process']}.{number}"
        self.rng = random.Random(f"{config['seed']}/{self.name}")
        self.mix = {
            kind: weight for kind, weight in (config.get("mix") or MIX).items()
            if self._needs(kind) <= callers.tables
        }
        self.count = 0
        self.sequences: dict[str, int] = {}
        self.recent: deque = deque(maxlen=100)

    @staticmethod
    def _needs(kind: str) -> set[str]:
        tables = {
            "append": ["t_append"], "anonymous": ["t_append"], "dead": ["t_dead"], "tick": ["t_tick"], "upsert": ["t_upsert"],
            "life": ["t_life"], "pair": ["t_append", "t_tick"], "poison": ["t_append"],
            "bulk": ["t_append", "t_tick", "t_upsert"], "poison_dead": ["t_dead"],
            "burst": ["t_append"], "stream": ["t_append"], "twins": ["t_append", "t_tick", "t_upsert"], "again": [],
        }
        return set(tables[kind])

    async def run(self) -> None:
        while time.monotonic() < self.callers.stop_at:
            kind = self.rng.choices(list(self.mix), list(self.mix.values()))[0]
            await getattr(self, "_" + kind)()
            await asyncio.sleep(self.rng.random() * self.callers.config["pause"])

    # Names

    def _id(self) -> str:
        self.count += 1
        return f"{self.name}.{self.count}"

    def _next(self, key: str) -> int:
        self.sequences[key] = self.sequences.get(key, 0) + 1
        return self.sequences[key]

    def _append_record(self, bad: bool = False, table: str = "t_append") -> model.Record:
        key = f"{self.name}.{table}.{self.rng.randrange(2)}"
        return model.append(self._id(), key, self._next(key), bad, table)

    def _tick_record(self) -> model.Record:
        return model.tick(self._id(), f"c{self.rng.randrange(5)}", self._next("tick"))

    def _upsert_record(self) -> model.Record:
        key = f"{self.name}.u{self.rng.randrange(3)}"
        return model.upsert(self._id(), key, self._next(key))

    # Requests

    def _single(self, record: model.Record) -> Request:
        headers = {"Content-Type": "application/json"}
        if record.kind != "anonymous":
            headers["Idempotency-Key"] = record.id
        path, method = f"/v1/tables/{record.table}/records", "POST"
        body = record.bytes()
        if record.kind in ("append", "anonymous", "dead"):
            headers["Weir-Order-Key"] = record.facts["k"]
        elif record.kind in ("upsert", "life.patch", "life.delete"):
            path += "/" + record.facts["k"]
            method = {"upsert": "PUT", "life.patch": "PATCH", "life.delete": "DELETE"}[record.kind]
            if method == "PATCH":
                headers["Content-Type"] = "application/merge-patch+json"
            if method == "DELETE":
                body = b""
        if record.kind == "upsert" and self.callers.config.get("version_column"):
            path += "?version_column=version"
        return Request(method, path, body, headers)

    async def _one(self, record: model.Record, keep: bool = True) -> str:
        request = self._single(record)
        if keep:
            self.recent.append(([record], request))
        return (await self.callers.settle(self.rng, [record], request))[0]

    async def _append(self):
        await self._one(self._append_record())

    async def _anonymous(self):
        """Without a message ID: sent once, and never again, whatever comes of it."""
        key = f"{self.name}.t_append.a"
        record = model.append(self._id(), key, self._next(key))
        record.kind = "anonymous"
        await self.callers.settle(self.rng, [record], self._single(record), once=True)

    async def _dead(self):
        await self._one(self._append_record(table="t_dead"))

    async def _tick(self):
        await self._one(self._tick_record())

    async def _upsert(self):
        await self._one(self._upsert_record())

    async def _poison(self):
        await self._one(self._append_record(bad=True))

    async def _poison_dead(self):
        await self._one(self._append_record(bad=True, table="t_dead"))

    async def _life(self):
        """A row is born, changed and deleted: none of it can be done twice unseen."""
        key = f"{self.name}.l{self._next('life')}"
        for stage in range(3):
            if await self._one(model.life(self._id(), key, stage)) != "ok":
                return

    async def _burst(self):
        """Records of one key in one request; each item's ID is the request's, and its place."""
        base, key = self._id(), f"{self.name}.t_append.b"
        count = self.rng.randrange(3, 9)
        records = [model.append(f"{base}#{i}", key, self._next(key)) for i in range(count)]
        for record in records:
            record.facts["burst"] = base
        body = b"[" + b",".join(r.bytes() for r in records) + b"]"
        request = Request("POST", "/v1/tables/t_append/records", body, {
            "Content-Type": "application/json", "Idempotency-Key": base, "Weir-Order-Key": key})
        self.recent.append((records, request))
        await self.callers.settle(self.rng, records, request)

    async def _stream(self):
        """Records of one key on one connection, none of which waits for the answer to another."""
        base, key = self._id(), f"{self.name}.t_append.s"
        records = [
            model.append(f"{base}#{i}", key, self._next(key))
            for i in range(self.rng.randrange(2, 7))
        ]
        await self.callers.settle_stream(
            self.rng, records, [self._single(record) for record in records])

    def _lines(self, records: list[model.Record], group: str | None = None) -> Request:
        lines = []
        for record in records:
            op = "upsert" if record.kind == "upsert" else "insert"
            line = {"op": op, "table": record.table, "id": record.id, "data": dict(record.data)}
            if op == "upsert":
                line["key"] = {"k": record.facts["k"]}
            if group:
                line["group"] = group
            lines.append(json.dumps(line, separators=(",", ":")).encode())
        return Request("POST", "/v1/bulk", b"\n".join(lines) + b"\n",
                       {"Content-Type": "application/x-ndjson"})

    async def _pair(self):
        """Two records that both commit or both do not; sometimes one of them is bad."""
        bad = self.rng.random() < 0.2
        key = f"{self.name}.t_append.p"
        records = [model.append(self._id(), key, self._next(key), bad), self._tick_record()]
        for record in records:
            record.facts["pair"] = records[0].id
        request = self._lines(records, group="g")
        self.recent.append((records, request))
        await self.callers.settle(self.rng, records, request)

    async def _bulk(self):
        key = f"{self.name}.t_append.m"
        records = [
            model.append(self._id(), key, self._next(key)), self._tick_record(), self._upsert_record()
        ]
        request = self._lines(records)
        self.recent.append((records, request))
        await self.callers.settle(self.rng, records, request)

    async def _twins(self):
        """The same record from two sides at once."""
        make = self.rng.choice([self._append_record, self._tick_record, self._upsert_record])
        record = make()
        request = self._single(record)
        self.recent.append(([record], request))
        await asyncio.gather(*(
            self.callers.settle(random.Random(self.rng.random()), [record], request)
            for _ in range(2)
        ))

    async def _again(self):
        """A record whose caller has had its answer, and forgotten that."""
        if self.recent:
            records, request = self.rng.choice(self.recent)
            await self.callers.settle(self.rng, records, request, again=True)
