"""Processes under measurement: their life, their CPU time and their memory, read from /proc."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Callable

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchmarkError(RuntimeError):
    """A figure could not be measured; the text says what to do about it."""


class Service:
    """A server started for a measurement, ready when `with` has entered, gone when it has left."""

    def __init__(self, name: str, command: list[str], is_ready: Callable[[], bool]):
        self.name = name
        self._command = command
        self._is_ready = is_ready
        self._process: subprocess.Popen | None = None
        self._output = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def __enter__(self) -> "Service":
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """SIGTERM, which a gateway answers by draining; SIGKILL if it does not end in time."""
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()

    def check_alive(self) -> None:
        """Raises, with what it last said, if the process has ended."""
        if self._process.poll() is not None:
            raise BenchmarkError(f"{self.name} ended by itself; it said:\n{self._tail()}")

    def _wait_until_ready(self, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_alive()
            if self._is_ready():
                return
            time.sleep(0.02)
        raise BenchmarkError(f"{self.name} was not ready in {seconds} s; it said:\n{self._tail()}")

    def _tail(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-12:]) or "(nothing)"


def free_port() -> int:
    """A TCP port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def answers_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far."""
    user, system, _, _, _ = _stat(pid)
    return (user + system) / TICKS_PER_SECOND


def family_cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children, of those that have already ended too.

    PostgreSQL's postmaster waits for every backend, so the time of a backend that ended is in the
    postmaster's own count. A backend that ends during the reading could be counted nowhere: the
    reading counts only if no child was waited for meanwhile.
    """
    while True:
        reaped = _stat(pid)[2:4]
        try:
            own = [_stat(process)[:2] for process in [pid, *_children(pid)]]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if _stat(pid)[2:4] == reaped:
            return (sum(map(sum, own)) + sum(reaped)) / TICKS_PER_SECOND


def _children(parent: int) -> list[int]:
    """A process's children, ended ones that nobody has waited for yet included."""
    processes = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [process for process in processes if _parent(process) == parent]


def _parent(pid: int) -> int | None:
    try:
        return _stat(pid)[4]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _stat(pid: int) -> tuple[int, int, int, int, int]:
    # The program's name stands in parentheses and may hold spaces: fields count from after it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12]), int(fields[13]), int(fields[14]), int(fields[1])


def memory_mib(pid: int) -> dict[str, float]:
    """Resident memory of a process: now, and the most it ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        "resident_mib": round(int(fields["VmRSS"].split()[0]) / 1024, 1),
        "peak_mib": round(int(fields["VmHWM"].split()[0]) / 1024, 1),
    }
