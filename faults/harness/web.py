"""An HTTP/1.1 client for callers that lose their temper: keeps connections, and can break one anywhere."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field


class Refused(Exception):
    """Nothing was sent: the connection was not accepted."""


class Lost(Exception):
    """Something was sent, and no whole answer came."""


@dataclass
class Request:
    method: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        head = [f"{self.method} {self.path} HTTP/1.1", "Host: gateway"]
        head += [f"{k}: {v}" for k, v in self.headers.items()]
        head.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(head).encode() + b"\r\n\r\n" + self.body


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


class Break:
    """How a caller breaks a request off; each leaves the gateway in another state."""

    IN_BODY = "in_body"  # part of the body is sent
    AFTER_SEND = "after_send"  # all is sent, nothing read
    LATER = "later"  # a moment after: perhaps queued, perhaps in a transaction
    IN_ANSWER = "in_answer"  # the answer's first byte was read
    ALL = (IN_BODY, AFTER_SEND, LATER, IN_ANSWER)


class Client:
    """The connections of one process to one gateway."""

    def __init__(self, host: str, port: int):
        self.host, self.port = host, port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(
        self, request: Request, timeout: float, broken: str | None = None, delay: float = 0
    ) -> Response:
        reader, writer = await self._connection()
        is_whole = False
        try:
            async with asyncio.timeout(timeout):
                response = await self._exchange(reader, writer, request, broken, delay)
            is_whole = response.headers.get("connection", "").lower() != "close"
            return response
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.TimeoutError) as error:
            raise Lost(str(error) or type(error).__name__) from None
        finally:
            if is_whole:
                self._idle.append((reader, writer))
            else:
                self._abort(writer)

    async def send_all(
        self, requests: list[Request], timeout: float
    ) -> "list[Response | Refused | Lost]":
        """Sends requests in a row on one connection, before any is answered."""
        try:
            reader, writer = await self._connection()
        except Refused as error:
            return [error] * len(requests)
        answers: list = []
        try:
            async with asyncio.timeout(timeout):
                writer.write(b"".join(request.bytes() for request in requests))
                await writer.drain()
                for _ in requests:
                    answers.append(await _read(reader))
                    if answers[-1].headers.get("connection", "").lower() == "close":
                        raise Lost("closed")
            self._idle.append((reader, writer))
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.TimeoutError, Lost) as error:
            self._abort(writer)
            lost = Lost(str(error) or type(error).__name__)
            answers += [lost] * (len(requests) - len(answers))
        return answers

    async def _connection(self):
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        try:
            async with asyncio.timeout(3):
                return await asyncio.open_connection(self.host, self.port)
        except (OSError, asyncio.TimeoutError) as error:
            raise Refused(str(error)) from None

    async def _exchange(self, reader, writer, request, broken, delay) -> Response:
        data = request.bytes()
        if broken == Break.IN_BODY:
            writer.write(data[: max(1, len(data) - max(1, len(request.body) // 2))])
            await writer.drain()
            raise Lost(broken)
        writer.write(data)
        await writer.drain()
        if broken == Break.AFTER_SEND:
            raise Lost(broken)
        if broken == Break.LATER:
            await asyncio.sleep(delay)
            raise Lost(broken)
        if broken == Break.IN_ANSWER:
            await reader.readexactly(1)
            raise Lost(broken)
        return await _read(reader)

    @staticmethod
    def _abort(writer: asyncio.StreamWriter) -> None:
        end = writer.get_extra_info("socket")
        if end is not None:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
        writer.transport.abort()

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _read(reader: asyncio.StreamReader) -> Response:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        if status >= 200:
            break
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Response(status, headers, body)
