"""The gateway as a child process: started, asked for its figures, drained."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path


class GatewayError(RuntimeError):
    """The gateway did not start or did not stop as it should."""


class Gateway:
    def __init__(self, program: Path, conninfo: str, tables: list[str]):
        self.address = ("127.0.0.1", _free_port())
        self._admin = f"http://127.0.0.1:{_free_port()}"
        self._process = subprocess.Popen(
            [
                program, "serve", "--migrate", "--db", conninfo, "--tables", ",".join(tables),
                "--listen", f"127.0.0.1:{self.address[1]}",
                "--admin", self._admin.removeprefix("http://"), "--log-level", "warning",
            ]
        )  # fmt: skip

    def __enter__(self) -> "Gateway":
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self._admin}/readyz", timeout=2):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        self._process.kill()
        raise GatewayError(f"the gateway was not ready (exit code {self._process.wait()})")

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def drain(self) -> None:
        """Ends the gateway as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout=30)
        if code != 0:
            raise GatewayError(f"the gateway exited with {code} after SIGTERM")

    def figures(self) -> dict[str, float]:
        """Every sample of /metrics, by its name with labels."""
        with urllib.request.urlopen(f"{self._admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
