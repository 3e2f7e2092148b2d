"""Several callers that send NDJSON to `/v1/bulk`, at as little CPU as a client can spend.

Every body is built before the clock starts. An answer is read to its end and searched for
`"errors":false`, not parsed: the client shares the machine with what it measures.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path

from .loads import FIRST_ID, Sample
from .processes import BenchmarkError, Service, cpu_seconds, family_cpu_seconds

LINES_PER_REQUEST = 10_000
CALLERS = 4
NOTE = "a note of some forty characters, like this"
RECEIVE_BYTES = 1 << 20
ANSWER_SECONDS_MAX = 60


def _row(number: int) -> tuple[int, int, int]:
    customer = 100 + number % 900
    return FIRST_ID + number, customer, 1 + customer % 9


def build_requests(port: int, table: str, count: int) -> list[bytes]:
    """`count` whole HTTP requests of LINES_PER_REQUEST inserts each; no ID occurs twice."""
    requests = []
    for first in range(0, count * LINES_PER_REQUEST, LINES_PER_REQUEST):
        rows = map(_row, range(first, first + LINES_PER_REQUEST))
        body = "".join(
            f'{{"op":"insert","table":"{table}","data":{{"id":{id},"customer_id":{customer},'
            f'"qty":{qty},"note":"{NOTE}"}}}}\n'
            for id, customer, qty in rows
        ).encode()
        head = (
            f"POST /v1/bulk HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


def write_copy_file(path: Path, requests: int) -> None:
    r"""The same rows in the text format of `\copy`."""
    with path.open("w") as file:
        for number in range(requests * LINES_PER_REQUEST):
            id, customer, qty = _row(number)
            file.write(f"{id}\t{customer}\t{qty}\t{NOTE}\n")


def send(
    service: Service, port: int, requests: list[bytes], postgres,
    lines_per_request: int = LINES_PER_REQUEST,
) -> Sample:
    """Deals the requests to the callers; the clock runs from the first byte to the last answer."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CALLERS)]
    failures: list[str] = []
    callers = [
        threading.Thread(target=_call, args=(sockets[n], requests[n::CALLERS], failures))
        for n in range(CALLERS)
    ]
    postgres_before = family_cpu_seconds(postgres.pid)
    before, start = cpu_seconds(service.pid), time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    seconds = time.perf_counter() - start
    service.check_alive()
    used = cpu_seconds(service.pid) - before
    postgres_used = family_cpu_seconds(postgres.pid) - postgres_before
    for open_socket in sockets:
        open_socket.close()
    if failures:
        raise BenchmarkError(f"{service.name}: a bulk request failed: {failures[0]}")
    rows = len(requests) * lines_per_request
    return Sample(
        count=rows, seconds=seconds,
        server_cpu_us=used / rows * 1e6, postgres_cpu_us=postgres_used / rows * 1e6,
    )


def _call(connection: socket.socket, requests: list[bytes], failures: list[str]) -> None:
    connection.settimeout(ANSWER_SECONDS_MAX)
    buffer = bytearray(RECEIVE_BYTES)
    try:
        for request in requests:
            connection.sendall(request)
            answer = read_answer(connection, buffer)
            if b'"errors":false' not in answer:
                raise BenchmarkError(answer[:600].decode(errors="replace"))
    except (OSError, BenchmarkError) as error:
        failures.append(str(error) or type(error).__name__)


def read_answer(connection: socket.socket, buffer: bytearray) -> bytearray:
    """One HTTP answer, head included, by Content-Length or to the last chunk."""
    answer, view = bytearray(), memoryview(buffer)
    is_whole = None
    while is_whole is None or not is_whole(answer):
        received = connection.recv_into(buffer)
        if received == 0:
            raise BenchmarkError(
                f"closed after {len(answer)} bytes of an answer: {bytes(answer[:300])!r}"
            )
        answer += view[:received]
        if is_whole is None and (end := answer.find(b"\r\n\r\n")) >= 0:
            is_whole = _end_of_answer(bytes(answer[:end]), end + 4)
    return answer


def _end_of_answer(head: bytes, body_start: int):
    if length := re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE):
        total = body_start + int(length.group(1))
        return lambda answer: len(answer) >= total
    # JSON holds no bare CR, so these bytes end the answer and nothing else.
    return lambda answer: answer.endswith(b"\r\n0\r\n\r\n")
