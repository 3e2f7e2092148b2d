"""Opens keep-alive connections, sends one GET on each, and holds them until stdin closes.

A process of its own (python3 idle.py PORT COUNT SOURCE_ADDRESS PATH), so that the limit on open
files is split between several and each source address brings its own range of local ports.
It prints `open N` once all are open, and at the end `kept N`: those the server has not closed.
"""

from __future__ import annotations

import socket
import sys


def open_one(port: int, source: str, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    connection.sendall(request)
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the answer to GET was {answer[:200]!r}, not 200")
    connection.setblocking(False)
    return connection


def is_kept(connection: socket.socket) -> bool:
    """Whether the server still holds it: the rest of its answer may wait, the end may not."""
    try:
        while connection.recv(65536):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def main() -> None:
    port, count, source, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    connections = [open_one(port, source, request) for _ in range(count)]
    print(f"open {len(connections)}", flush=True)
    sys.stdin.read()
    print(f"kept {sum(map(is_kept, connections))}", flush=True)


if __name__ == "__main__":
    main()
