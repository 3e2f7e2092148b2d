"""One round of one row: a database, a gateway behind a proxy, callers, a fault, and the judgement."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import judging, model, oracles
from .cluster import ROLE, Cluster
from .direct import Direct
from .gateway import Gateway, Product
from .guard import Guard
from .history import Contents, History
from .pg import Pg
from .proxy import CUT, Proxy
from .wire import Point

HERE = Path(__file__).resolve().parents[1]

POLICIES = {
    "t_append": {"order_key": "ord_key"},
    "t_dead": {"order_key": "ord_key", "on_reject": "dead_letter"},
    "t_tick": {},
    "t_upsert": {},
    "t_life": {},
}
FDS_MAX = 300


@dataclass
class Result:
    """What came of one round."""

    number: int
    seed: str
    fired: Counter = field(default_factory=Counter)
    committed: int = 0
    aborted: int = 0
    messages: int = 0
    violations: list[tuple] = field(default_factory=list)
    vacuous: str = ""
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None
    seconds: float = 0


class Round:
    """Given to a row's function, which begins, breaks something, and heals it again."""

    def __init__(
        self, row, number: int, seed: str, cluster: Cluster, product: Product, guard: Guard,
        folder: Path, seconds: float,
    ):
        self.row, self.number, self.seconds = row, number, seconds
        self.cluster, self.product, self.guard, self.folder = cluster, product, guard, folder
        self.rng = random.Random(f"{seed}/{row.name}/{number}")
        self.result = Result(number, seed)
        self.database = f"r{number}_{row.name.lower().replace('-', '')}"
        self.proxies: list[Proxy] = []
        self.gateways: list[Gateway] = []
        self.callers: list[subprocess.Popen] = []
        self.direct = Direct(folder / "harness.jsonl")
        self.logs: list[Path] = [folder / "harness.jsonl"]
        # Kinds of records of a row's life that this round's fault refuses for good.
        self.may_reject: frozenset = frozenset()
        # Tables whose rows another command wrote again: their xmin says nothing any more.
        self.rewritten: set[str] = set()
        # The round changes the definition of tables: what is rejected may be stored later.
        self.changes_tables = False
        # Enough generations have passed that what was remembered need not be.
        self.has_forgotten = False
        self.fds_max = FDS_MAX
        self._deferred: list = []
        self.open_max: Counter = Counter()
        self._sampler: threading.Thread | None = None
        self._sampling = threading.Event()
        self._lock = threading.Lock()

    # Setting the scene

    def begin(
        self, schema: str = "", settings: dict | None = None, connections: int = 4,
        tables: dict | None = None, gateways: int = 1, start: bool = True,
    ) -> None:
        """A fresh database with the model's tables, and gateways that serve it, each by a proxy."""
        self.cluster.create_database(self.database)
        with self.pg() as pg:
            pg.query(model.SCHEMA + schema)
            pg.query(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}")
            pg.query(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {ROLE}")
        self.product.migrate(self.cluster.conninfo_of(self.database), ROLE)
        self.tables = {**POLICIES, **(tables or {})}
        for number in range(gateways):
            proxy = Proxy(self.cluster.socket_path)
            self.proxies.append(proxy)
            gateway = Gateway(
                self.product, self.folder, f"gateway{number + 1}", proxy.port, self.database,
                connections, settings, self.tables)
            self.gateways.append(gateway)
            if start:
                self.start_gateway(gateway)
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    @property
    def gateway(self) -> Gateway:
        return self.gateways[0]

    @property
    def proxy(self) -> Proxy:
        return self.proxies[0]

    def start_gateway(self, gateway: Gateway, prefix: list[str] | None = None, wait=True) -> None:
        gateway.start(prefix, wait=False)
        self.guard.watch(gateway.pid)
        if wait:
            gateway.wait_until_ready()

    def kill_gateway(self, gateway: Gateway | None = None) -> None:
        gateway = gateway or self.gateway
        gateway.kill()
        self.guard.forget(gateway.pid)

    def restart_gateway(self, gateway: Gateway | None = None) -> None:
        self.kill_gateway(gateway)
        self.start_gateway(gateway or self.gateway)

    def rotate(self) -> None:
        """Closes the current generation of the replay table, as if its hour were over."""
        with self.pg() as pg:
            pg.query("UPDATE weir.generation SET since = since - interval '2 hours'")
            if pg.value("SELECT weir.rotate(interval '1 hour')") == "t":
                self.fire("rotated")

    def pg(self, timeout: float = 20) -> Pg:
        return self.cluster.session(self.database, timeout=timeout)

    # Callers

    def load(self, seconds: float | None = None, processes: int = 2, workers: int = 6, **options) -> None:
        """Starts the callers; they go on for `seconds`, and then until everything is settled."""
        config = {
            "seconds": seconds or self.seconds, "workers": workers, "patience": 15, "timeout": 6,
            "backoff": [0.02, 0.12], "pause": 0.02, "breaks": 0.0,
            "endpoints": [list(g.address) for g in self.gateways],
            "tables": [t for t in self.tables if t in model.TABLES],
            "seed": f"{self.result.seed}/{self.number}", "version_column": False,
        } | options
        for _ in range(processes):
            number = len(self.callers)
            name = config.get("name", "")
            log = self.folder / f"callers{number}.jsonl"
            log.touch()
            self.logs.append(log)
            path = self.folder / f"callers{number}.json"
            run = f"{self.row.name}.{self.number}{name}"
            path.write_text(json.dumps({**config, "log": str(log), "process": number, "run": run}))
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.caller", str(path)], cwd=HERE,
                stderr=open(self.folder / f"callers{number}.err", "wb"))
            self.guard.watch(process.pid)
            self.callers.append(process)

    def wait_for_traffic(self, count: int = 20, seconds: float = 10) -> None:
        """Until the callers have been served for a while: what is broken before that proves little."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.commits() >= count:
                return
            time.sleep(0.01)

    def commits(self) -> int:
        """Transactions that have committed, by the proxies' account."""
        return sum(t.tag == "COMMIT" for p in self.proxies for t in p.transactions[:])

    def pause(self, low: float, high: float | None = None) -> None:
        time.sleep(low if high is None else low + self.rng.random() * (high - low))

    def defer(self, action) -> None:
        """Done when the round's database is gone, whatever happened."""
        self._deferred.append(action)

    # What happened

    def fire(self, what: str, count: int = 1) -> None:
        with self._lock:
            self.result.fired[what] += count

    def broken(self, oracle: str, text: str) -> None:
        self.result.violations.append((oracle, text))

    def note(self, text: str) -> None:
        self.result.notes.append(text)

    def straddle(self, fault, proxy: Proxy | None = None, seconds: float = 3) -> bool:
        """Brings two transactions to either side of their commit, and then the fault: one whose COMMIT
        was sent and has not reached the server, one that has committed and whose answer has not
        reached the gateway. Neither ever gets there."""
        proxy = proxy or self.proxy
        before, after, go = threading.Event(), threading.Event(), threading.Event()
        held: dict[str, Point] = {}
        lock = threading.Lock()

        def script(point: Point):
            name = {"commit": "before", "reply": "after"}.get(point.name)
            transaction = point.transaction
            if name is None or transaction is None or not transaction.is_batch or go.is_set():
                return None
            with lock:
                taken = name in held or any(p.link is point.link for p in held.values())
                if taken or (name == "after" and transaction.tag != "COMMIT"):
                    return None
                held[name] = point
            if name == "before":
                # A transaction that has failed already is no secret, whether its COMMIT comes or not.
                time.sleep(0.015)
                if transaction.error:
                    with lock:
                        del held[name]
                    return None
            (before if name == "before" else after).set()
            go.wait(seconds + 5)
            return CUT

        proxy.script = script
        deadline = time.monotonic() + seconds
        both = before.wait(seconds) and after.wait(max(0, deadline - time.monotonic()))
        fault()
        go.set()
        time.sleep(0.01)
        proxy.script = None
        if both:
            self.fire("straddled")
        return both

    # The end

    def finish(self) -> Result:
        """Waits for the callers, looks whether all is well again, and judges."""
        self._join_callers()
        judging.check_live(self)
        self._sampling.set()
        self._sampler.join()
        metrics = [g.metrics() if g.is_running() else {} for g in self.gateways]
        for gateway in self.gateways:
            code = gateway.stop()
            self.guard.forget(gateway.pid)
            if code != 0:
                self.broken("LIVE", f"{gateway.name} ended with {code} after SIGTERM")
        self.direct.close()
        judging.check_bounds(self)
        history = History(self.logs)
        with self.pg() as pg:
            contents = Contents(pg)
        self.history, self.contents, self.metrics = history, contents, metrics
        self.result.messages = len(history.messages)
        contents.rewritten, contents.has_changed = self.rewritten, self.changes_tables
        contents.has_forgotten = self.has_forgotten
        self.result.violations += oracles.judge(history, contents, self.may_reject)
        judging.reconcile(self)
        judging.split(self)
        if unsure := history.classes().get("unknown"):
            self.fire("answered-unknown", unsure)
        if self.row.after:
            self.row.after(self)
        judging.look_for_teeth(self)
        return self.result

    def _join_callers(self) -> None:
        deadline = time.monotonic() + self.seconds + 40
        for process in self.callers:
            try:
                code = process.wait(timeout=max(0.1, deadline - time.monotonic()))
                if code != 0:
                    self.broken("LIVE", f"callers ended with {code}; see their .err file")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.broken("LIVE", "callers did not come to an end")
            self.guard.forget(process.pid)

    def _sample(self) -> None:
        last: Counter = Counter()
        while not self._sampling.wait(0.2):
            for number, (gateway, proxy) in enumerate(zip(self.gateways, self.proxies)):
                gateway.sample()
                count = len(proxy.live_links())
                # The proxy may not have seen yet that the gateway has closed one, and opened another.
                self.open_max[number] = max(self.open_max[number], min(count, last[number]))
                last[number] = count

    def clean_up(self) -> None:
        """Whatever happened: no process of this round stays."""
        self._sampling.set()
        for process in self.callers:
            if process.poll() is None:
                process.kill()
                process.wait()
            self.guard.forget(process.pid)
        for gateway in self.gateways:
            if gateway.process is not None:
                self.kill_gateway(gateway)
        for proxy in self.proxies:
            proxy.close()

    def keep(self, cluster_log_from: int) -> None:
        """Writes beside the logs what is needed to understand a failed round."""
        lines = [f"{self.row.name} round {self.number}, seed {self.result.seed}"]
        lines += [f"{oracle}: {text}" for oracle, text in self.result.violations]
        lines += [f"note: {text}" for text in self.result.notes]
        (self.folder / "verdict.txt").write_text("\n".join(lines) + "\n")
        with open(self.folder / "proxy.jsonl", "w") as file:
            for proxy in self.proxies:
                for entry in proxy.log:
                    file.write(json.dumps(entry) + "\n")
                for transaction in proxy.transactions:
                    file.write(json.dumps(transaction.__dict__) + "\n")
        log = self.cluster.log.read_bytes()[cluster_log_from:]
        (self.folder / "server.log").write_bytes(log[-1_000_000:])

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def drop(self) -> None:
        """The database, and what was set up beside it."""
        self.cluster.drop_database(self.database)
        for action in reversed(self._deferred):
            action()
        self._deferred.clear()
