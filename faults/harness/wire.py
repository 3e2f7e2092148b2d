"""PostgreSQL's messages (version 3), and what those that matter mean."""

from __future__ import annotations

import re
import socket
import struct
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .proxy import Link

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Transaction:
    """One transaction whose COMMIT the gateway sent, as the proxy saw it."""

    connection: int
    number: int
    marker: str | None = None  # the ID of its row in weir.attempt_a or _b, if it writes one
    is_inquiry: bool = False  # it asks what became of another one
    is_implicit: bool = False  # without BEGIN and COMMIT: the end of its pipeline commits
    writes: bool = False  # it inserts, updates or deletes
    statements: list[str] = field(default_factory=list)  # how its first ones begin
    commit_sent: float = 0.0
    commit_forwarded: bool = False
    tag: str | None = None  # what the server said to COMMIT
    error: str | None = None  # the SQLSTATE of its first error
    delivered: bool = False  # the gateway was handed the answer to the last byte

    @property
    def is_batch(self) -> bool:
        """It writes what callers sent."""
        return self.writes and not self.is_inquiry

    @property
    def is_ambiguous(self) -> bool:
        return self.is_batch and bool(self.commit_sent) and not self.delivered

    @property
    def truth(self) -> str | None:
        """As far as the proxy alone can tell."""
        if self.tag == "COMMIT":
            return "committed"
        if not self.commit_forwarded or self.tag or self.error:
            return "aborted"
        return None


@dataclass
class Point:
    """Where a connection stands when the script is asked.

    `name` is one of: `begin`, `statement` (each Bind or Query, with its SQL), `commit` (the gateway's
    COMMIT is about to be forwarded), `committing` (it has been), `reply` (the server's answer to
    COMMIT is here), `ready` (the ReadyForQuery after it), `error` (an ErrorResponse is here). Of a
    transaction without COMMIT, Sync is the COMMIT, and ReadyForQuery the answer: it has no `ready`.
    """

    name: str
    link: "Link"
    transaction: Transaction | None = None
    sql: str = ""
    message: bytes = b""
    sqlstate: str = ""
    # COMMIT is among what the gateway has sent already.
    commit_follows: bool = False


def ends_with_commit(text: str) -> bool:
    statement = text.rstrip().rstrip(";").rstrip()
    return statement == "COMMIT" or statement.endswith("; COMMIT")


def writes(text: str) -> bool:
    """Of a statement in capitals."""
    return any(word in text for word in ("INSERT ", "UPDATE ", "DELETE ", "COPY ", "MERGE "))


def commits_in(buffer: bytes, transaction: Transaction | None) -> bool:
    """Whether COMMIT, or what stands for it, is among these messages of the gateway."""
    if transaction is not None and transaction.is_implicit:
        return any(message[0] == ord("S") for message in peek(buffer))
    return b"weir_commit\0" in buffer


def uuid_in(sql: str, parameters: bytes) -> str | None:
    """The attempt's ID: in the statement's text, else its first parameter of 16 or 36 bytes."""
    if found := _UUID.search(sql.lower()):
        return found.group()
    try:
        (formats,) = struct.unpack_from("!H", parameters)
        at = 2 + 2 * formats
        (count,) = struct.unpack_from("!H", parameters, at)
        at += 2
        for _ in range(count):
            (length,) = struct.unpack_from("!i", parameters, at)
            at += 4
            value = parameters[at : at + max(0, length)]
            at += max(0, length)
            if length == 16:
                return str(uuid.UUID(bytes=value))
            if length == 36 and _UUID.fullmatch(value.decode(errors="replace").lower()):
                return value.decode().lower()
    except struct.error:
        pass
    return None


def bound_to(message: bytes, name: bytes) -> bytes | None:
    """A Bind message as if it named another prepared statement; `None` for any other message."""
    if message[:1] != b"B":
        return None
    portal, _, rest = message[5:].split(b"\0", 2)
    body = portal + b"\0" + name + b"\0" + rest
    return b"B" + struct.pack("!I", len(body) + 4) + body


def messages(buffer: bytearray):
    """Takes the whole messages off the front of the buffer."""
    at = 0
    try:
        for message in peek(buffer):
            at += len(message)
            yield message[0], message
    finally:
        del buffer[:at]


def peek(buffer: bytes):
    """The whole messages in front, and leaves them there."""
    at = 0
    while len(buffer) - at >= 5:
        (length,) = struct.unpack_from("!I", buffer, at + 1)
        if len(buffer) - at < length + 1:
            return
        yield bytes(buffer[at : at + length + 1])
        at += length + 1


def exactly(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = end.recv(count - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data
