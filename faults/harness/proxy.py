"""A proxy that understands PostgreSQL's protocol and breaks it where it is told to.

It stands between a gateway and the server, takes every message apart, and calls the round's script
at the points that matter. What it has seen is the truth about who can know what: which transactions
had their COMMIT sent, which reached the server, and which answers were delivered.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import Callable

from .pg import error_fields
from .wire import (
    CANCEL_REQUEST, GSS_REQUEST, SSL_REQUEST, Point, Transaction, commits_in, ends_with_commit,
    exactly, messages, uuid_in, writes,
)

# What a script may answer at a point; or (CUT, n), to cut after n bytes of the message, and at what
# the gateway sends another message to send instead.
FORWARD, CUT, DROP = "forward", "cut", "drop"

Script = Callable[[Point], "str | bytes | tuple[str, int] | None"]


class Link:
    """One connection of the gateway and its connection to the server: a thread for each direction."""

    def __init__(self, proxy: "Proxy", number: int, client: socket.socket):
        self.proxy, self.number, self.client = proxy, number, client
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.backend_pid = 0
        self.transaction: Transaction | None = None
        self.last: Transaction | None = None
        self.is_cut = False
        self._count = 0
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._awaiting: list[Transaction] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def cut(self, reset: bool = True) -> None:
        """Ends both sides; with a reset, what is on its way to the gateway is lost too."""
        self.is_cut = True
        for end in (self.client, self.server):
            if reset:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    # From the gateway

    def _run(self) -> None:
        try:
            self.server.connect(self.proxy.upstream)
            if not self._start_up():
                return self.cut()
        except OSError:
            return self.cut(reset=False)
        threading.Thread(target=self._pump_back, daemon=True).start()
        buffer = bytearray()
        try:
            while part := self.client.recv(1 << 16):
                buffer += part
                if not self._forward(buffer):
                    return self.cut(self.proxy.resets)
        except OSError:
            pass
        if self.proxy.closed(self):
            self.cut(reset=False)

    def _start_up(self) -> bool:
        while True:
            head = exactly(self.client, 8)
            length, code = struct.unpack("!II", head)
            rest = exactly(self.client, length - 8)
            if code in (SSL_REQUEST, GSS_REQUEST):
                self.client.sendall(b"N")
                continue
            self.server.sendall(head + rest)
            return code != CANCEL_REQUEST

    def _forward(self, buffer: bytearray) -> bool:
        out = bytearray()
        for kind, message in messages(buffer):
            point = self._understand(kind, message)
            if point is not None:
                if point.name == "commit":
                    point.transaction.commit_sent = time.monotonic()
                if self.proxy.script is not None:
                    point.commit_follows = commits_in(buffer, point.transaction)
                    # What came before stands at the server while the script thinks.
                    self.server.sendall(out)
                    out.clear()
                    verdict = self.proxy.ask(point)
                    if verdict == CUT:
                        return False
                    if isinstance(verdict, bytes):
                        message = verdict
                if point.name == "commit":
                    point.transaction.commit_forwarded = True
            out += message
            if kind in b"SQ" and self.last and not self.last.delivered and self.last.commit_sent:
                self.server.sendall(out)
                out.clear()
                if self.proxy.script is not None:
                    if self.proxy.ask(Point("committing", self, self.last)) == CUT:
                        return False
        self.server.sendall(out)
        return True

    def _understand(self, kind: int, message: bytes) -> Point | None:
        if kind == ord("P"):
            name, sql = message[5:].split(b"\0", 2)[:2]
            self._statements[name] = sql.decode(errors="replace")
            return None
        if kind == ord("B"):
            portal, name = message[5:].split(b"\0", 2)[:2]
            sql = self._statements.get(name, "")
            point = self._statement(sql, message[5 + len(portal) + len(name) + 2 :], is_bound=True)
            point.message = message
            return point
        if kind == ord("Q"):
            return self._statement(message[5:-1].decode(errors="replace"), b"")
        if kind == ord("S") and self.transaction is not None and self.transaction.is_implicit:
            return self._commit(self.transaction, "", message)
        return None

    def _statement(self, sql: str, parameters: bytes, is_bound: bool = False) -> Point:
        text = sql.lstrip().upper()
        begins = text.startswith("BEGIN")
        # What a batch writes without BEGIN is committed by the end of its pipeline.
        is_implicit = is_bound and self.transaction is None and writes(text)
        if begins or is_implicit:
            with self._lock:
                self._count += 1
                self.transaction = Transaction(self.number, self._count, is_implicit=is_implicit)
        transaction = self.transaction
        if transaction is not None:
            _note(transaction, sql, text, parameters)
        if transaction is not None and ends_with_commit(text):
            return self._commit(transaction, sql)
        return Point("begin" if begins or is_implicit else "statement", self, transaction, sql)

    def _commit(self, transaction: Transaction, sql: str, message: bytes = b"") -> Point:
        with self._lock:
            self.transaction, self.last = None, transaction
            self._awaiting.append(transaction)
            self.proxy.transactions.append(transaction)
        return Point("commit", self, transaction, sql, message=message)

    # From the server

    def _pump_back(self) -> None:
        buffer = bytearray()
        try:
            while part := self.server.recv(1 << 16):
                buffer += part
                if not self._return(buffer):
                    return self.cut(reset=False)
        except OSError:
            pass
        # The server has gone: what it had still to say is lost with it.
        self.cut(reset=False)

    def _return(self, buffer: bytearray) -> bool:
        out = bytearray()
        for kind, message in messages(buffer):
            point = self._understand_back(kind, message)
            if point is not None and self.proxy.script is not None:
                self.client.sendall(out)
                out.clear()
                verdict = self.proxy.ask(point)
                if verdict == DROP:
                    continue
                if verdict == CUT or isinstance(verdict, tuple):
                    count = verdict[1] if isinstance(verdict, tuple) else 0
                    self.client.sendall(message[:count])
                    return False
            out += message
            if point is not None and point.name in ("reply", "error") and point.transaction:
                self.client.sendall(out)
                out.clear()
                point.transaction.delivered = True
        self.client.sendall(out)
        return True

    def _understand_back(self, kind: int, message: bytes) -> Point | None:
        if kind == ord("K"):
            (self.backend_pid,) = struct.unpack_from("!I", message, 5)
        elif kind == ord("C"):
            tag = message[5:-1].decode(errors="replace")
            if tag in ("COMMIT", "ROLLBACK"):
                transaction = self._answered()
                if transaction is not None:
                    transaction.tag = tag
                return Point("reply", self, transaction, message=message)
        elif kind == ord("E"):
            fields = error_fields(message[5:])
            sqlstate = fields.get("C", "")
            # After an error in a pipeline COMMIT is skipped: this is its answer too. A FATAL one says
            # nothing of a COMMIT that was sent.
            fatal = fields.get("V", fields.get("S")) in ("FATAL", "PANIC")
            transaction = self._failed() if not fatal else None
            if transaction is not None:
                transaction.error = sqlstate
            return Point("error", self, transaction, message=message, sqlstate=sqlstate)
        elif kind == ord("Z") and (transaction := self._ended()) is not None:
            self.last = None
            if transaction.error is not None:
                return None
            transaction.tag = "COMMIT"
            return Point("reply", self, transaction, message=message)
        elif kind == ord("Z") and self.last is not None and self.last.tag:
            transaction, self.last = self.last, None
            return Point("ready", self, transaction, message=message)
        return None

    def _ended(self) -> Transaction | None:
        """The transaction without COMMIT that ReadyForQuery says is over: committed, if of no error
        was said before."""
        with self._lock:
            if self._awaiting and self._awaiting[0].is_implicit:
                return self._awaiting.pop(0)
            return None

    def _failed(self) -> Transaction | None:
        """The transaction that an error speaks of: it may come before Sync has passed."""
        with self._lock:
            if self._awaiting:
                first = self._awaiting[0]
                return first if first.is_implicit else self._awaiting.pop(0)
            is_open = self.transaction is not None and self.transaction.is_implicit
            return self.transaction if is_open else None

    def _answered(self) -> Transaction | None:
        with self._lock:
            return self._awaiting.pop(0) if self._awaiting else None


def _note(transaction: Transaction, sql: str, upper: str, parameters: bytes) -> None:
    """What a statement tells of its transaction."""
    if len(transaction.statements) < 8:
        transaction.statements.append(sql[:100])
    if writes(upper):
        transaction.writes = True
    if transaction.marker is None and "attempt_" in sql and "INSERT" in upper:
        transaction.marker = uuid_in(sql, parameters)
        # The batch's own marker has to be new; who asks puts a fence where there is none.
        transaction.is_inquiry = "ON CONFLICT" in upper and "REPLAY_" not in upper


class Proxy:
    """Listens on loopback; `script` is called from the threads of the links."""

    def __init__(self, upstream: str):
        self.upstream = upstream
        self.script: Script | None = None
        self.resets = True
        self.refuses = False
        self.accepted = 0
        self.transactions: list[Transaction] = []
        self.log: list[tuple] = []
        self.links: list[Link] = []
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.refuses:
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(self, self.accepted, client)
            self.links.append(link)
            link.start()

    def ask(self, point: Point) -> "str | bytes | tuple[str, int]":
        script = self.script
        verdict = (script(point) if script is not None else None) or FORWARD
        if verdict != FORWARD:
            transaction = point.transaction
            said = "replace" if isinstance(verdict, bytes) else verdict
            self.log.append(
                (time.monotonic(), point.name, said, point.link.number,
                 transaction.number if transaction else 0, transaction.marker if transaction else "")
            )
        return verdict

    def closed(self, link: Link) -> bool:
        """The gateway closed its side: the server is told, whatever it is doing."""
        return not link.is_cut

    def live_links(self) -> list[Link]:
        return [link for link in self.links if not link.is_cut and link.backend_pid]

    def cut_all(self) -> None:
        for link in list(self.links):
            if not link.is_cut:
                link.cut()

    def ambiguous(self) -> list[Transaction]:
        """The transactions of which the gateway cannot know from its connection how they ended."""
        return [t for t in list(self.transactions) if t.is_ambiguous]

    def close(self) -> None:
        self.script = None
        self._listener.close()
        self.cut_all()
