"""The gateway under test: its configuration, its processes, and what can be seen of it from outside."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

# Settings that a row may rely on, as lines of the configuration file, to find out whether the
# program knows them.
OPTIONAL = {
    "order_key": "tables: {t: {order_key: k}}",
    "on_reject": "tables: {t: {on_reject: dead_letter}}",
    "version_column": "tables: {t: {version_column: version}}",
}


class Product:
    """The program, and which of the features that rows ask for it has."""

    def __init__(self, path: str):
        self.path = str(Path(path).resolve())
        self.features = {name for name, text in OPTIONAL.items() if self._takes(text)}
        if subprocess.run([self.path, "migrate", "--help"], capture_output=True).returncode == 0:
            self.features.add("replay")

    def migrate(self, conninfo: str, role: str) -> None:
        """Makes the gateway's own tables, as their owner would, with rights for the gateway's role."""
        if "replay" not in self.features:
            return
        command = [self.path, "migrate", "--db", conninfo, "--grant-to", role]
        answer = subprocess.run(command, capture_output=True, text=True, env=_environment())
        if answer.returncode != 0:
            raise RuntimeError(f"weir migrate ended with {answer.returncode}: {answer.stderr}")

    def _takes(self, flow: str) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(_block(flow))
            file.flush()
            command = [self.path, "serve", "--config", file.name, "--print-config"]
            return subprocess.run(command, capture_output=True, env=_environment()).returncode == 0


def _block(flow: str) -> str:
    """`a: {b: {c: d}}` on lines of its own."""
    lines, indent = [], 0
    text = flow
    while "{" in text:
        key, _, text = text.partition("{")
        lines.append("  " * indent + key.rstrip())
        indent += 1
    lines.append("  " * indent + text.replace("}", "").strip())
    return "\n".join(lines) + "\n"


def _environment() -> dict[str, str]:
    return {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PG", "WEIR_")) and k != "DATABASE_URL"
    }


class Gateway:
    """One `weir serve`, which comes back on the same address as often as it is started."""

    def __init__(
        self, product: Product, folder: Path, name: str, port: int, database: str,
        connections: int = 4, settings: dict[str, str] | None = None,
        tables: dict[str, dict[str, str]] | None = None,
    ):
        self.product, self.name, self.connections = product, name, connections
        self.address = ("127.0.0.1", free_port())
        self.admin = ("127.0.0.1", free_port())
        self.process: subprocess.Popen | None = None
        self.starts = 0
        self.log_path = folder / f"{name}.log"
        self.config_path = folder / f"{name}.yaml"
        self.database = database
        self.proxy_port = port
        self.samples: list[dict] = []
        self.config_path.write_text(self._config(settings or {}, tables or {}))
        self._sampling = threading.Event()

    def _config(self, settings: dict[str, str], tables: dict[str, dict[str, str]]) -> str:
        values = {
            "database.statement_timeout": "2s", "database.lock_timeout": "500ms",
            "queue.timeout": "4s", "limits.drain_timeout": "8s", "log.level": "debug",
        } | settings
        groups: dict[str, list[str]] = {}
        for key, value in values.items():
            group, name = key.split(".", 1)
            groups.setdefault(group, []).append(f"  {name}: {value}")
        lines = [line for group, rows in groups.items() for line in [f"{group}:"] + rows]
        lines.append("tables:")
        for table, policy in tables.items():
            lines.append(f"  {table}:")
            known = {
                k: v for k, v in policy.items()
                if k not in OPTIONAL or k in self.product.features
            }
            lines += [f"    {k}: {v}" for k, v in known.items()]
            if not known:
                lines.append("    operations: [insert, upsert, patch, delete]")
        return "\n".join(lines) + "\n"

    # Its life

    def start(self, prefix: list[str] | None = None, wait: bool = True) -> None:
        """`prefix` is a program that runs it, such as strace with what it injects."""
        conninfo = (
            f"host=127.0.0.1 port={self.proxy_port} user=weir dbname={self.database} "
            "connect_timeout=3"
        )
        command = [
            self.product.path, "serve", "--config", str(self.config_path), "--db", conninfo,
            "--listen", "%s:%d" % self.address, "--admin", "%s:%d" % self.admin,
            "--connections", str(self.connections),
        ]
        with open(self.log_path, "ab") as log:
            log.write(f"--- start {self.starts + 1}\n".encode())
            self.process = subprocess.Popen(
                (prefix or []) + command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=_environment(),
            )
        self.starts += 1
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.ask("/readyz?db=1")[0] == 200:
                return
            time.sleep(0.02)
        tail = "\n".join(self.log_path.read_text(errors="replace").splitlines()[-8:])
        raise RuntimeError(f"{self.name} did not become ready:\n{tail}")

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        if self.is_running():
            self.process.kill()
        self.process.wait()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, seconds: float = 15) -> int | None:
        """SIGTERM; its exit code, or None if it had to be killed."""
        if not self.is_running():
            return self.process.returncode if self.process else 0
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    # What can be seen of it

    def ask(self, path: str, timeout: float = 2) -> tuple[int, str]:
        url = "http://%s:%d%s" % (*self.admin, path)
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, ValueError):
            return 0, ""

    def post(self, path: str, body: dict | None = None, timeout: float = 10) -> tuple[int, str]:
        url = "http://%s:%d%s" % (*self.admin, path)
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(
            url, data=data, method="POST", headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError:
            return 0, ""

    def metrics(self) -> dict[str, float]:
        status, text = self.ask("/metrics")
        found = {}
        for line in text.splitlines() if status == 200 else []:
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                try:
                    found[name] = float(value)
                except ValueError:
                    pass
        return found

    def sample(self) -> None:
        """Memory and descriptors, where the system shows them."""
        if not self.is_running():
            return
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
            rss = next(int(l.split()[1]) for l in status.splitlines() if l.startswith("VmRSS"))
            descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))
        except (OSError, StopIteration):
            return
        self.samples.append({"rss_kb": rss, "fds": descriptors})


# Below the ports that systems give to connections: while a gateway is dead nobody else gets its own.
_ports = itertools.cycle(range(20000, 30000))
for _ in range(os.getpid() * 37 % 10000):
    next(_ports)


def free_port() -> int:
    """Nobody listens there, and this process has not handed it out lately."""
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
