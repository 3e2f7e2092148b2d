"""A private cluster that can be killed, stopped and started again as often as a round likes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from private_postgres import PORT, PostgresError, PrivatePostgres  # noqa: E402

from .pg import Pg, PgError  # noqa: E402

ROLE = "weir"
SETTINGS = {
    "max_connections": 60,
    "shared_buffers": "32MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "1h",
    # A deadlock is looked for after this long; the default of a second would be most of a round.
    "deadlock_timeout": "100ms",
    "max_prepared_transactions": 0,
}


class Cluster(PrivatePostgres):
    """`PrivatePostgres`, and what happens to servers."""

    def __init__(self, settings: dict[str, object] | None = None):
        super().__init__(settings={**SETTINGS, **(settings or {})})

    @property
    def socket_path(self) -> str:
        return str(self.folder / f".s.PGSQL.{PORT}")

    def start(self) -> None:
        super().start()
        with self.session("postgres") as pg:
            pg.query(f"CREATE ROLE {ROLE} LOGIN")

    def conninfo_of(self, database: str) -> str:
        return f"host={self.folder} port={PORT} user=postgres dbname={database}"

    def session(self, database: str, user: str = "postgres", timeout: float = 20) -> Pg:
        return Pg(self.socket_path, database, user, timeout)

    def create_database(self, name: str) -> None:
        with self.session("postgres") as pg:
            pg.query(f"CREATE DATABASE {name}")
            # What earlier rounds wrote is not to be recovered again when this one kills the server.
            pg.query("CHECKPOINT")
            pg.query(f"GRANT CREATE ON DATABASE {name} TO {ROLE}")

    def drop_database(self, name: str) -> None:
        with self.session("postgres") as pg:
            pg.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def give(self, path: Path) -> None:
        """Makes the server's account the owner."""
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    # What happens to servers

    def kill(self) -> None:
        """SIGKILL to the postmaster alone; its backends go on until they notice."""
        os.kill(self.pid, signal.SIGKILL)
        self._server.wait()

    def shut_down(self, mode: str) -> None:
        """`smart`, `fast` or `immediate`, as pg_ctl asks for them; returns at once."""
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        os.kill(self.pid, signals[mode])

    def wait_until_down(self, seconds: float) -> bool:
        try:
            self._server.wait(timeout=seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def start_again(self, seconds: float = 30) -> None:
        """Starts after `kill` or `shut_down`: as soon as the last old backend lets go of the memory."""
        deadline = time.monotonic() + seconds
        while True:
            self._release_guard()
            self._launch()
            try:
                self._wait_until_ready(seconds=max(1, deadline - time.monotonic()))
                return
            except PostgresError:
                if time.monotonic() > deadline or self._server.poll() is None:
                    raise
                time.sleep(0.05)

    def ensure_running(self) -> None:
        """Whatever the round did, the next one finds a server that answers."""
        if self.is_running():
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    self.session("postgres").close()
                    return
                except PgError:
                    if not self.is_running():
                        break
                    time.sleep(0.05)
        if self.is_running():
            self.shut_down("immediate")
            self._server.wait(timeout=20)
        self.start_again()

    def processes(self) -> list[int]:
        """The postmaster and all its children."""
        return [self.pid] + children(self.pid)

    def _release_guard(self) -> None:
        """The guard stops the server whose number it was told; a new server has a new guard."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard.stdin.close()
            self._guard = None


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    if sys.platform == "linux":
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and parent_of(int(entry)) == parent:
                found.append(int(entry))
        return found
    answer = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True)
    return [int(line) for line in answer.stdout.split()]


def parent_of(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        return int(text.rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return -1
