#!/usr/bin/env python3
"""One process of callers: sends records, sends them again until each has a final answer, and writes
down what it is about to do before it does it.

    python3 -m harness.caller CONFIG.json

The log has one JSON object on each line: `invoke` before a request is sent, one `answer` for each
record after, with its class:

    ok        committed, or committed before         dead      in the dead-letter table
    rejected  refused for good, nothing is stored    no        not written, to be sent again
    unknown   may have been written; sent again      lost      no answer came; sent again
    refused   no connection, nothing was sent        gave_up   no final answer before the time was over
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from .web import Break, Client, Lost, Refused, Request, Response
from .worker import Worker

FINAL = ("ok", "dead", "rejected")
REFUSED = ("dead", "rejected")
EFFECTS = ("inserted", "updated", "deleted", "unchanged", "ignored", "merged", "replayed")

class Log:
    """Lines that are in the kernel before the next step is taken."""

    def __init__(self, path: str):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, **fields) -> None:
        fields["t"] = round(time.monotonic(), 6)
        os.write(self._file, json.dumps(fields, separators=(",", ":")).encode() + b"\n")


def classify(status: int, body: dict) -> str:
    """The class of one record's answer, by the contract."""
    result, error = body.get("result"), body.get("error") or body
    if status < 300:
        return "ok" if result in EFFECTS else "odd"
    if result == "dead_lettered":
        return "dead"
    if error.get("code") == "rolled-back":
        return "rolled_back"
    if status in (408, 429, 503, 504):
        return "unknown" if error.get("written") == "unknown" else "no"
    return "rejected" if status < 500 else "odd"


class Callers:
    """All workers of this process."""

    def __init__(self, config: dict):
        self.config = config
        self.log = Log(config["log"])
        self.stop_at = time.monotonic() + config["seconds"]
        self.give_up_at = self.stop_at + config["patience"]
        self.clients = [Client(*endpoint) for endpoint in config["endpoints"]]
        self.tables = set(config["tables"])

    async def run(self) -> None:
        workers = [Worker(self, number) for number in range(self.config["workers"])]
        await asyncio.gather(*(worker.run() for worker in workers))
        for client in self.clients:
            client.close()

    # One request, until all of its records have final answers

    async def settle(
        self, rng, records, request: Request, again: bool = False, once: bool = False
    ) -> list[str]:
        """Sends a request until every record of it has a final answer; returns their classes."""
        classes = [""] * len(records)
        attempt = 0
        while True:
            attempt += 1
            for record in records:
                self.log.write(
                    e="invoke", id=record.id, n=attempt, kind=record.kind, again=again, **record.facts
                )
            answers = await self._attempt(rng, request, len(records), attempt)
            # A group that failed for a member that may come again may come again.
            fate = "rejected" if any(kind in REFUSED for kind, _ in answers) else "no"
            answers = [(fate if kind == "rolled_back" else kind, d) for kind, d in answers]
            for position, (record, answer) in enumerate(zip(records, answers)):
                kind, details = answer
                self.log.write(
                    e="answer", id=record.id, n=attempt, c=kind, again=again, kind=record.kind, **details
                )
                if kind in FINAL:
                    classes[position] = kind
            if all(classes) or once:
                return classes
            if time.monotonic() > self.give_up_at:
                for record, kind in zip(records, classes):
                    if not kind:
                        self.log.write(e="answer", id=record.id, n=attempt, c="gave_up", again=again)
                return classes
            low, high = self.config["backoff"]
            await asyncio.sleep(low + rng.random() * (high - low))

    async def settle_stream(self, rng, records, requests: list[Request]) -> None:
        """Sends requests in a row on one connection; what has no final answer then is sent again,
        one after the other."""
        for record in records:
            self.log.write(
                e="invoke", id=record.id, n=1, kind=record.kind, again=False, **record.facts)
        answers = await rng.choice(self.clients).send_all(requests, self.config["timeout"])
        pending = []
        for record, request, answer in zip(records, requests, answers):
            if isinstance(answer, Response):
                kind, details = self._answers(answer, 1)[0]
            else:
                kind = "refused" if isinstance(answer, Refused) else "lost"
                details = {"why": str(answer)[:80]}
            self.log.write(
                e="answer", id=record.id, n=1, c=kind, again=False, kind=record.kind, **details)
            if kind not in FINAL:
                pending.append((record, request))
        for record, request in pending:
            await self.settle(rng, [record], request)

    async def _attempt(self, rng, request, count, attempt) -> list[tuple[str, dict]]:
        client = rng.choice(self.clients)
        broken, delay = None, 0.0
        if rng.random() < self.config["breaks"]:
            broken, delay = rng.choice(Break.ALL), rng.random() * 0.02
        if attempt == 1 and "break_first" in self.config:
            broken = self.config["break_first"]
        begun = time.monotonic()
        try:
            response = await client.send(request, self.config["timeout"], broken, delay)
        except Refused as error:
            return [("refused", {"why": str(error)[:80]})] * count
        except Lost as error:
            return [("lost", {"why": str(error)[:80]})] * count
        elapsed = round(time.monotonic() - begun, 6)
        return [(kind, {**d, "s": elapsed}) for kind, d in self._answers(response, count)]

    def _answers(self, response: Response, count: int) -> list[tuple[str, dict]]:
        try:
            body = json.loads(response.body)
            if "items" in body:
                items = body["items"]
                if [item["index"] for item in items] != list(range(count)):
                    return [("odd", {"why": "indexes"})] * count
                return [self._answer(item["status"], item) for item in items]
            return [self._answer(response.status, body)] * count
        except (ValueError, KeyError, TypeError) as error:
            return [("odd", {"status": response.status, "why": repr(error)[:80]})] * count

    @staticmethod
    def _answer(status: int, body: dict) -> tuple[str, dict]:
        error = body.get("error") or body
        details = {"status": status}
        for name, value in (
            ("result", body.get("result")), ("code", error.get("code")),
            ("written", error.get("written")), ("sqlstate", error.get("sqlstate")),
        ):
            if value is not None:
                details[name] = value
        return classify(status, body), details


def main() -> None:
    with open(sys.argv[1]) as file:
        config = json.load(file)
    asyncio.run(Callers(config).run())


if __name__ == "__main__":
    main()
