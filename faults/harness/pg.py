"""The little of PostgreSQL's protocol that the harness needs to ask and to disturb a server.

Simple queries over the cluster's unix socket, rows as tuples of text (None for NULL). A session is
used by one thread at a time; a statement that blocks is given a thread of its own by its caller.
"""

from __future__ import annotations

import socket
import struct


class PgError(RuntimeError):
    """What the server refused, or the end of the session (sqlstate 08006)."""

    def __init__(self, sqlstate: str, message: str):
        super().__init__(f"{sqlstate}: {message}")
        self.sqlstate = sqlstate


class Pg:
    """One session."""

    def __init__(self, path: str, database: str, user: str = "postgres", timeout: float = 20):
        self.pid = 0
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
            parameters = {"user": user, "database": database, "application_name": "faults"}
            text = b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0"
            self._socket.sendall(struct.pack("!II", len(text) + 8, 196608) + text)
            self._read_until_ready()
        except PgError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise PgError("08001", str(error)) from None

    def __enter__(self) -> "Pg":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def query(self, sql: str) -> list[tuple]:
        """Runs statements and returns the last one's rows; raises for the first error."""
        data = sql.encode() + b"\0"
        try:
            self._socket.sendall(b"Q" + struct.pack("!I", len(data) + 4) + data)
            return self._read_until_ready()
        except OSError as error:
            raise PgError("08006", str(error)) from None

    def value(self, sql: str) -> str | None:
        """The first column of the first row."""
        rows = self.query(sql)
        return rows[0][0] if rows else None

    def _message(self) -> tuple[bytes, bytes]:
        head = self._take(5)
        (length,) = struct.unpack("!I", head[1:])
        return head[:1], self._take(length - 4)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            part = self._socket.recv(1 << 16)
            if not part:
                raise ConnectionError("the server closed the connection")
            self._buffer += part
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _read_until_ready(self) -> list[tuple]:
        rows: list[tuple] = []
        failure: PgError | None = None
        while True:
            kind, body = self._message()
            if kind == b"Z":
                if failure:
                    raise failure
                return rows
            if kind == b"E":
                fields = error_fields(body)
                failure = failure or PgError(fields.get("C", ""), fields.get("M", ""))
                if fields.get("V", fields.get("S")) in ("FATAL", "PANIC"):
                    raise failure
            elif kind == b"T":
                rows = []
            elif kind == b"D":
                rows.append(_row(body))
            elif kind == b"K":
                (self.pid,) = struct.unpack_from("!I", body)


def error_fields(body: bytes) -> dict[str, str]:
    """ErrorResponse: a letter and a text for each field."""
    parts = body.rstrip(b"\0").split(b"\0")
    return {p[:1].decode(): p[1:].decode(errors="replace") for p in parts if p}


def _row(body: bytes) -> tuple:
    (count,) = struct.unpack_from("!H", body)
    at, values = 2, []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        if length < 0:
            values.append(None)
        else:
            values.append(body[at : at + length].decode(errors="replace"))
            at += length
    return tuple(values)
