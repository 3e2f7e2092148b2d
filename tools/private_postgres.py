#!/usr/bin/env python3
"""A private PostgreSQL cluster for a benchmark or an example, gone when its owner is.

It listens on a unix socket in a folder of its own and on nothing else, so it can neither meet nor
disturb a cluster that the machine already runs. PostgreSQL refuses to run as root: started by root,
the server runs as the account `postgres`, and the folder is given to that account.

    with PrivatePostgres(settings={"max_connections": 200}) as server:
        server.psql("CREATE TABLE t (id int)")
        subprocess.run(["my-program", "--db", server.conninfo])

    tools/private_postgres.py -- psql            # a shell command with PGHOST … set, then stop
    tools/private_postgres.py --dir ./scratch    # keep the data; serve until interrupted
"""

from __future__ import annotations

import argparse
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# One connection string and one file name are all that the port is for: nothing listens on TCP.
PORT = 5432
SUPERUSER = "postgres"
# sun_path holds 108 bytes on Linux and 104 on macOS, the final NUL included.
SOCKET_PATH_BYTES_MAX = 103
MARKER = ".private-postgres"
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

# Waits until this script's end of the pipe closes, which the kernel does whatever ended it, SIGKILL
# included. Then a fast shutdown, an immediate one after ten seconds, and the folder if temporary.
# The server is gone when its postmaster.pid is: in a container nobody may reap it, and `kill -0`
# then finds its zombie.
GUARD = """
cat >/dev/null
kill -INT "$1" 2>/dev/null
tries=0
while [ -e "$2/data/postmaster.pid" ] && [ "$tries" -lt 150 ]; do
  tries=$((tries + 1))
  [ "$tries" -eq 100 ] && kill -QUIT "$1" 2>/dev/null
  sleep 0.1
done
[ "$3" = keep ] || rm -rf -- "$2"
"""


class PostgresError(RuntimeError):
    """A cluster could not be made, started or asked; the text says what to do about it."""


def find_binaries() -> Path:
    """The folder of the newest server programs: Debian's, Homebrew's, then pg_config's."""
    patterns = [
        "/usr/lib/postgresql/*/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
        "/usr/pgsql-*/bin",
    ]
    found = [Path(folder) for pattern in patterns for folder in glob.glob(pattern)]
    found.sort(key=_version_in_path, reverse=True)
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True)
        found.append(Path(answer.stdout.strip()))
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresError(
        "no PostgreSQL server programs (initdb, postgres) found; install them: "
        "`apt-get install postgresql` or `brew install postgresql@16`"
    )


def _version_in_path(folder: Path) -> int:
    digits = "".join(c for c in folder.parent.name if c.isdigit())
    return int(digits) if digits else 0


class PrivatePostgres:
    """One cluster: made by `start`, stopped by `stop`, and both by `with`."""

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        settings: dict[str, object] | None = None,
        account: str = "postgres",
        binaries: Path | None = None,
    ):
        """`folder` keeps its data between runs; without one it is temporary.

        Commits are durable unless `settings` says otherwise, so that figures are honest.
        """
        self.binaries = binaries or find_binaries()
        self.settings = {**DURABLE, **(settings or {})}
        self._account = pwd.getpwnam(account) if os.geteuid() == 0 and _exists(account) else None
        if os.geteuid() == 0 and self._account is None:
            raise PostgresError(
                f"PostgreSQL refuses to run as root and there is no account `{account}`; "
                "create it (`useradd --system postgres`) or run this as an ordinary user"
            )
        self._is_temporary = folder is None
        self.folder = Path(folder).resolve() if folder else None
        self._server: subprocess.Popen | None = None
        self._guard: subprocess.Popen | None = None

    # What a caller asks for

    @property
    def conninfo(self) -> str:
        """The libpq connection string of the cluster's superuser."""
        return f"host={self.folder} port={PORT} user={SUPERUSER} dbname=postgres"

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with libpq's variables pointing here and nowhere else."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        inherited.pop("DATABASE_URL", None)
        return inherited | {
            "PGHOST": str(self.folder),
            "PGPORT": str(PORT),
            "PGUSER": SUPERUSER,
            "PGDATABASE": "postgres",
        }

    @property
    def pid(self) -> int:
        """The postmaster's process ID."""
        assert self._server is not None, "the cluster is not running"
        return self._server.pid

    @property
    def log(self) -> Path:
        """What the server wrote to stderr."""
        return self.folder / "server.log"

    def program(self, name: str) -> str:
        """The path of a client program (psql, pgbench), of the server's version if it is there."""
        beside = self.binaries / name
        path = str(beside) if beside.exists() else shutil.which(name)
        if path is None:
            raise PostgresError(f"`{name}` is not installed; it comes with the PostgreSQL client")
        return path

    def psql(self, sql: str) -> str:
        """Runs SQL and returns unaligned rows; an error in any statement raises."""
        command = [self.program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        answer = self.run(command, input=sql)
        return answer.stdout.strip()

    def run(self, command: list[str], **options) -> subprocess.CompletedProcess:
        """Runs a program with libpq's environment set, and raises with its stderr if it fails."""
        answer = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, **options
        )
        if answer.returncode != 0:
            raise PostgresError(f"{Path(command[0]).name} failed: {answer.stderr.strip()}")
        return answer

    # Its life

    def __enter__(self) -> "PrivatePostgres":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Makes the cluster if it is new, starts it, and returns when it accepts connections."""
        self._prepare_folder()
        try:
            if not (self._data / "PG_VERSION").exists():
                self._initdb()
            self._launch()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """A fast shutdown, an immediate one if that takes too long. Safe to call twice."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._server.wait(timeout=20)
            self._server = None
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            self._guard.stdin.close()
            self._guard = None
        if self._is_temporary and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _prepare_folder(self) -> None:
        if self._is_temporary:
            self.folder = Path(tempfile.mkdtemp(prefix="private-pg-")).resolve()
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()) and not (self.folder / MARKER).exists():
                raise PostgresError(
                    f"{self.folder} is not empty and was not made by this tool; name a new folder"
                )
        socket = self.folder / f".s.PGSQL.{PORT}"
        if len(os.fsencode(socket)) > SOCKET_PATH_BYTES_MAX:
            raise PostgresError(f"{socket} is too long for a unix socket; name a shorter folder")
        (self.folder / MARKER).touch()
        # Authentication is `trust`: the folder's mode decides who may connect.
        self.folder.chmod(0o700)
        if self._account:
            for path in (self.folder, self.folder / MARKER):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _as_account(self) -> dict:
        """Arguments of subprocess that step down from root, where this process is root."""
        if self._account is None:
            return {"cwd": self.folder}
        return {
            "cwd": self.folder,
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "extra_groups": [],
        }

    def _initdb(self) -> None:
        command = [str(self.binaries / "initdb"), "-D", str(self._data), "-U", SUPERUSER]
        command += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        answer = subprocess.run(command, capture_output=True, text=True, **self._as_account())
        if answer.returncode != 0:
            raise PostgresError(
                f"initdb failed in {self.folder} (may the server's account reach that folder?): "
                + answer.stderr.strip()
            )

    def _launch(self) -> None:
        fixed = {
            "listen_addresses": "",
            "port": PORT,
            "unix_socket_directories": self.folder,
            "logging_collector": "off",
            # %a: who met an error, for example which side of a comparison met a deadlock.
            "log_line_prefix": "%m [%p] %a ",
        }
        command = [str(self.binaries / "postgres"), "-D", str(self._data)]
        for name, value in {**self.settings, **fixed}.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log, "ab") as log:
            # A session of its own: ^C in the terminal ends the owner first, then the server.
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self._as_account(),
            )
        guard = ["/bin/sh", "-c", GUARD, "guard", str(self._server.pid), str(self.folder)]
        self._guard = subprocess.Popen(
            guard + ["remove" if self._is_temporary else "keep"],
            stdin=subprocess.PIPE, start_new_session=True, cwd="/",
        )

    def _wait_until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        command = [self.program("pg_isready"), "-q"]
        while time.monotonic() < deadline:
            if self._server.poll() is not None:
                break
            if subprocess.run(command, env=self.environment).returncode == 0:
                return
            time.sleep(0.05)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        raise PostgresError(f"the server did not start; the end of its log:\n{tail}")


def _exists(account: str) -> bool:
    try:
        pwd.getpwnam(account)
        return True
    except KeyError:
        return False


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    return name, value


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Run a command against a private PostgreSQL, or serve one until interrupted."
    )
    parser.add_argument("--dir", help="keep the data here (default: a temporary folder)")
    parser.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="a server setting, for example max_connections=200",
    )
    parser.add_argument("command", nargs="*", help="run this with PGHOST … set, then stop")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with PrivatePostgres(folder=options.dir, settings=dict(options.set)) as server:
            if options.command:
                environment = server.environment | {"DATABASE_URL": server.conninfo}
                return subprocess.run(options.command, env=environment).returncode
            print(server.conninfo, flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return 130
    except PostgresError as error:
        print(f"private_postgres: {error}", file=sys.stderr)
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
