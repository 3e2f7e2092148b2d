"""An HTTP/1.1 client: one keep-alive connection per caller, all of them in one thread.

A caller is a generator: it yields a request and is sent the answer, until it returns.
"""

from __future__ import annotations

import heapq
import json
import selectors
import socket
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field

# Told to wait this often with one request, the callers give up: the database is gone, not busy.
TRIES_MAX = 20


class GaveUpError(RuntimeError):
    """The gateway refused one request again and again."""


class ConnectionLostError(RuntimeError):
    """The gateway closed a connection that waited for an answer."""


@dataclass(slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes
    chunks: int  # pieces in which a streamed body came; 0 if it was not streamed

    def json(self) -> dict:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name.lower():
                return value.strip()
        return None


Script = Generator[bytes, Answer, None]


@dataclass
class Figures:
    """What the callers of one run met."""

    requests: int = 0
    told_to_wait: Counter = field(default_factory=Counter)  # 429 and 503, by code; sent again
    seconds: list[float] = field(default_factory=list)  # per request, waiting included


def request(
    method: str, path: str, body: object = None,
    kind: str = "application/json", headers: str = "",
) -> bytes:  # fmt: skip
    """The bytes of a request; `body` is sent as it is if it is bytes, else as JSON."""
    if body is None:
        return f"{method} {path} HTTP/1.1\r\nHost: weir\r\n{headers}\r\n".encode()
    if not isinstance(body, bytes):
        body = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: weir\r\nContent-Type: {kind}\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Caller:
    __slots__ = ("script", "socket", "request", "unsent", "received", "began", "tries")

    def __init__(self, script: Script, address: tuple[str, int]):
        self.script = script
        self.socket = socket.create_connection(address)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.unsent: memoryview | None = None


class Client:
    """Runs scripts at the same time, each on a connection of its own."""

    def __init__(self, address: tuple[str, int]):
        self._address = address

    def run(self, scripts: list[Script]) -> Figures:
        self._selector = selectors.DefaultSelector()
        self._waiting: list[tuple[float, int, _Caller]] = []
        self._figures = Figures()
        callers = [_Caller(script, self._address) for script in scripts]
        self._active = len(callers)
        try:
            for caller in callers:
                self._selector.register(caller.socket, selectors.EVENT_READ, caller)
                self._go_on(caller, None)
            while self._active:
                self._turn()
        finally:
            self._selector.close()
            for caller in callers:
                caller.socket.close()
        return self._figures

    def _turn(self) -> None:
        timeout = self._waiting[0][0] - time.monotonic() if self._waiting else None
        for key, events in self._selector.select(timeout):
            if events & selectors.EVENT_WRITE:
                self._send(key.data)
            if events & selectors.EVENT_READ:
                self._receive(key.data)
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            self._send_first(heapq.heappop(self._waiting)[2])

    def _go_on(self, caller: _Caller, answer: Answer | None) -> None:
        """Hands the caller its answer and takes its next request."""
        try:
            caller.request = caller.script.send(answer)
        except StopIteration:
            self._active -= 1
            return
        caller.began = time.monotonic()
        caller.tries = 0
        self._send_first(caller)

    def _send_first(self, caller: _Caller) -> None:
        self._figures.requests += 1
        caller.tries += 1
        caller.unsent = memoryview(caller.request)
        self._send(caller)

    def _send(self, caller: _Caller) -> None:
        was_blocked = len(caller.unsent) < len(caller.request)
        try:
            caller.unsent = caller.unsent[caller.socket.send(caller.unsent) :]
        except BlockingIOError:
            pass
        if caller.unsent:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(caller.socket, both, caller)
        elif was_blocked:
            self._selector.modify(caller.socket, selectors.EVENT_READ, caller)

    def _receive(self, caller: _Caller) -> None:
        piece = caller.socket.recv(1 << 18)
        if not piece:
            raise ConnectionLostError("the gateway closed a connection that waited for an answer")
        caller.received += piece
        answer = parse_answer(caller.received)
        if answer is None:
            return
        caller.received.clear()
        if answer.status in (429, 503) and answer.header("Retry-After"):
            return self._wait(caller, answer)
        self._figures.seconds.append(time.monotonic() - caller.began)
        self._go_on(caller, answer)

    def _wait(self, caller: _Caller, answer: Answer) -> None:
        """Sends the request again when the gateway said."""
        what = f"{answer.status} {answer.json().get('code')}"
        self._figures.told_to_wait[what] += 1
        if caller.tries == TRIES_MAX:
            raise GaveUpError(f"the gateway answered {what} to one request {TRIES_MAX} times")
        due = time.monotonic() + float(answer.header("Retry-After"))
        heapq.heappush(self._waiting, (due, id(caller), caller))


def parse_answer(received: bytearray) -> Answer | None:
    """The answer that `received` holds; None if some of it is still to come."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end])
    lower = head.lower()
    status = int(head[9:12])
    start = end + 4
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(lower[at + 17 :].split(b"\r\n", 1)[0])
        if len(received) < start + length:
            return None
        return Answer(status, head, bytes(received[start : start + length]), 0)
    if b"\r\ntransfer-encoding: chunked" in lower:
        if not received.endswith(b"0\r\n\r\n"):
            return None
        chunks = _chunks(received, start)
        return chunks and Answer(status, head, b"".join(chunks), len(chunks))
    return Answer(status, head, b"", 0)


def _chunks(received: bytearray, at: int) -> list[bytes] | None:
    chunks = []
    while True:
        line = received.find(b"\r\n", at)
        if line < 0:
            return None
        length = int(received[at:line], 16)
        if length == 0:
            return chunks
        chunks.append(bytes(received[line + 2 : line + 2 + length]))
        at = line + 2 + length + 2
