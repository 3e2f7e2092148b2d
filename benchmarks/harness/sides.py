"""The gateway, what it is compared with, and the database that all of them write to."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from private_postgres import PrivatePostgres

from . import processes
from .processes import BenchmarkError, Service

PEERS = Path(__file__).resolve().parent.parent / "peers"
GOPATH = Path("/usr/share/gocode")
SCHEMA = """
CREATE TABLE bench (id bigint PRIMARY KEY, customer_id int, qty int, note text);
CREATE TABLE checked (id bigint PRIMARY KEY, customer_id int, qty int, note text,
    CHECK (qty > 0));
CREATE TABLE hot (id bigint PRIMARY KEY, qty int);
CREATE TABLE shaped (id bigint PRIMARY KEY, c0 int, c1 int DEFAULT 1, c2 int,
    c3 int NOT NULL DEFAULT 3, c4 int, c5 int);
INSERT INTO hot SELECT id, 0 FROM generate_series(1, 100) AS id;
"""
# A checkpoint is started by `prepare` before each round, and with these never inside one.
SETTINGS = {
    "max_connections": 200,
    "shared_buffers": "256MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}


@dataclass
class Options:
    """What the command line decides."""

    weir: Path
    echo: Path
    decode_times: Path
    echo_threads: int
    connections: int | None
    weir_arguments: list[str]
    rounds: int
    seconds: float
    peers_only: bool


@dataclass
class Gateway:
    """A running Weir and where it listens."""

    service: Service
    port: int
    admin_port: int

    @property
    def records_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/tables/bench/records"

    @property
    def checked_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/tables/checked/records"

    @property
    def bulk_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/bulk"

    def metrics(self, pattern: str) -> list[str]:
        """The lines of /metrics that match, comments left out."""
        url = f"http://127.0.0.1:{self.admin_port}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return []
        return [line for line in lines if line[:1] != "#" and re.search(pattern, line)]


class Bench:
    """One run: its options, its private database, and its servers on request."""

    def __init__(self, options: Options, postgres: PrivatePostgres):
        self.options = options
        self.postgres = postgres
        self._folder = tempfile.TemporaryDirectory(prefix="weir-bench-")
        self.folder = Path(self._folder.name)
        self._go_batcher: Path | None = None
        postgres.psql(SCHEMA)

    def close(self) -> None:
        self._folder.cleanup()

    # Servers

    def gateway(self, *settings: str) -> "GatewayContext":
        """A Weir; `settings` are variables of its environment, as `NAME=value`."""
        return GatewayContext(self, settings)

    def echo(self) -> tuple[Service, str]:
        """A bare NIO HTTP server that sends the request's body back."""
        if not self.options.echo.exists():
            raise BenchmarkError(
                f"{self.options.echo.name} is not built: "
                "`swift build -c release --product nio-echo`"
            )
        port = processes.free_port()
        command = [str(self.options.echo), str(port), str(self.options.echo_threads)]
        service = Service("nio-echo", command, lambda: processes.accepts_connections(port))
        return service, f"http://127.0.0.1:{port}/v1/tables/bench/records"

    def go_batcher(self) -> tuple[Service, str]:
        """The micro-batcher that one would write by hand."""
        port = processes.free_port()
        command = [str(self._build_go_batcher()), "-listen", f"127.0.0.1:{port}"]
        command += ["-db", self.postgres.conninfo, "-table", "bench"]
        service = Service("go-batcher", command, lambda: processes.accepts_connections(port))
        return service, f"http://127.0.0.1:{port}/v1/tables/bench/records"

    def _build_go_batcher(self) -> Path:
        if self._go_batcher is None:
            if not shutil.which("go") or not (GOPATH / "src/github.com/jackc/pgx/v4").exists():
                raise BenchmarkError(
                    "the Go peer needs Debian's Go and pgx: "
                    "`apt-get install golang-go golang-github-jackc-pgx-v4-dev`"
                )
            binary = self.folder / "go-batcher"
            environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH)}
            answer = subprocess.run(
                ["go", "build", "-o", str(binary), "."], cwd=PEERS / "go-batcher",
                env=environment, capture_output=True, text=True,
            )
            if answer.returncode != 0:
                raise BenchmarkError(f"the Go peer does not build: {answer.stderr.strip()}")
            self._go_batcher = binary
        return self._go_batcher

    # The database

    def prepare(self) -> None:
        """The same start for each round: no records, no dead row versions, nothing to flush."""
        self.postgres.psql("TRUNCATE bench, checked; VACUUM hot; CHECKPOINT;")

    def check_stored(
        self, acknowledged: int, in_flight_max: int, table: str = "bench"
    ) -> None:
        """Every acknowledged record is in the table, and besides them only what was in flight."""
        # wrk leaves its last requests unanswered: they may still be committing.
        time.sleep(0.3)
        stored = int(self.postgres.psql(f"SELECT count(*) FROM {table}"))
        if not acknowledged <= stored <= acknowledged + in_flight_max:
            raise BenchmarkError(
                f"{acknowledged} records were acknowledged and {stored} are in the table"
            )

    def committed(self) -> int:
        """Transactions committed so far. A backend reports its last ones when it ends."""
        return int(
            self.postgres.psql(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            )
        )

    def deadlocks(self) -> dict[str, int]:
        """Deadlocks so far in the server's log: pgbench's, and everybody else's."""
        log = self.postgres.log.read_text(errors="replace")
        names = re.findall(r"^.*?\] (.*?) ERROR: +deadlock detected", log, re.MULTILINE)
        return {"pgbench": names.count("pgbench"), "gateway": len(names) - names.count("pgbench")}


class GatewayContext:
    """`with bench.gateway() as gateway:` is a Weir that is ready, or None with --peers-only."""

    def __init__(self, bench: Bench, settings: tuple[str, ...]):
        self._bench = bench
        self._settings = settings
        self._service: Service | None = None

    def __enter__(self) -> Gateway | None:
        options = self._bench.options
        if options.peers_only:
            return None
        if not options.weir.exists():
            raise BenchmarkError(
                f"{options.weir.name} is not built: `swift build -c release`, or use --peers-only"
            )
        port, admin_port = processes.free_port(), processes.free_port()
        # `env` becomes the program that it is told to run: the process stays one.
        command = ["env", *self._settings] if self._settings else []
        command += [str(options.weir), "serve", "--db", self._bench.postgres.conninfo]
        command += ["--tables", "bench,checked,hot,shaped", "--listen", f"127.0.0.1:{port}"]
        command += ["--admin", f"127.0.0.1:{admin_port}", "--migrate", *options.weir_arguments]
        if options.connections is not None:
            command += ["--connections", str(options.connections)]
        ready = f"http://127.0.0.1:{admin_port}/readyz"
        self._service = Service("weir", command, lambda: processes.answers_ok(ready))
        self._service.__enter__()
        return Gateway(self._service, port, admin_port)

    def __exit__(self, *_: object) -> None:
        if self._service is not None:
            self._service.__exit__()


def raise_open_files_limit() -> int:
    """Lets this process and its children open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
