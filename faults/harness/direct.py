"""Requests that a row sends itself, one by one, with the log that callers keep."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from pathlib import Path

from . import model
from .caller import FINAL, classify
from .gateway import Gateway
from .web import Client, Lost, Refused, Request


class Direct:
    """A caller of which each step is the row's own."""

    def __init__(self, path: Path):
        self._file = open(path, "w")
        self._lock = threading.Lock()

    def call(self, gateway: Gateway, record: model.Record, again: bool = False, timeout: float = 5):
        """Sends a record once, as callers do, with their log; returns its class and answer."""
        self.write(e="invoke", id=record.id, n=1, kind=record.kind, again=again, **record.facts)
        kind, body = self._post(gateway, record, timeout)
        error = body.get("error") or body
        details = {k: body[k] for k in ("result",) if k in body}
        details |= {k: error[k] for k in ("code", "written", "sqlstate") if error.get(k)}
        self.write(e="answer", id=record.id, n=1, c=kind, kind=record.kind, again=again, **details)
        return kind, body

    def call_many(self, gateway: Gateway, records: list[model.Record], timeout: float = 5):
        """Upserts in one request, each with its own ID; returns their classes."""
        lines = [
            json.dumps({
                "op": "upsert", "table": x.table, "id": x.id, "key": {"k": x.facts["k"]}, "data": x.data})
            for x in records
        ]
        for record in records:
            self.write(e="invoke", id=record.id, n=1, kind=record.kind, **record.facts)
        status, body = self._request(
            gateway, "POST", "/v1/bulk", "\n".join(lines).encode() + b"\n",
            {"Content-Type": "application/x-ndjson"}, timeout)
        if "items" in body:
            classes = [classify(item["status"], item) for item in body["items"]]
        else:
            classes = [classify(status, body) if status else body["class"]] * len(records)
        for record, kind in zip(records, classes):
            self.write(e="answer", id=record.id, n=1, c=kind, kind=record.kind)
        return classes

    def write(self, **fields) -> None:
        with self._lock:
            self._file.write(json.dumps({**fields, "t": time.monotonic()}) + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()

    async def settle(
        self, client: Client, record: model.Record, again: bool = False, tries: int = 40
    ) -> str:
        """Sends a record until it has a final answer, on whichever connection is free."""
        request = Request("POST", f"/v1/tables/{record.table}/records", record.bytes(), {
            "Content-Type": "application/json", "Idempotency-Key": record.id,
            "Weir-Order-Key": record.facts["k"]})
        kind = ""
        for attempt in range(1, tries):
            self.write(
                e="invoke", id=record.id, n=attempt, kind=record.kind, again=again, **record.facts)
            details = {}
            try:
                response = await client.send(request, timeout=20)
                body = json.loads(response.body)
                kind = classify(response.status, body)
                details = {"result": body.get("result"), "code": body.get("code")}
            except Refused:
                kind = "refused"
            except Lost:
                kind = "lost"
            self.write(
                e="answer", id=record.id, n=attempt, c=kind, kind=record.kind, again=again, **details)
            if kind in FINAL:
                break
            await asyncio.sleep(0.05 * attempt)
        return kind

    def _post(self, gateway: Gateway, record: model.Record, timeout: float = 5):
        path, method = f"/v1/tables/{record.table}/records", "POST"
        if record.kind == "upsert":
            path, method = f"{path}/{record.facts['k']}", "PUT"
        headers = {"Content-Type": "application/json", "Idempotency-Key": record.id}
        if record.kind in ("append", "dead"):
            headers["Weir-Order-Key"] = record.facts["k"]
        status, body = self._request(gateway, method, path, record.bytes(), headers, timeout)
        return (classify(status, body), body) if status else (body["class"], {})

    @staticmethod
    def _request(gateway, method, path, body, headers, timeout) -> tuple[int, dict]:
        """Status and body, or 0 and a class where there was no answer."""
        connection = http.client.HTTPConnection(*gateway.address, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except ConnectionRefusedError:
            return 0, {"class": "refused"}
        except (OSError, ValueError, http.client.HTTPException):
            return 0, {"class": "lost"}
        finally:
            connection.close()
