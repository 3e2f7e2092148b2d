"""One round of one row: a database, a gateway behind a proxy, callers, a fault, and the judgement."""

from __future__ import annotations

import http.client
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

from . import model, oracles
from .caller import MIX, classify
from .cluster import ROLE, Cluster
from .gateway import Gateway, Product
from .guard import Guard
from .history import Contents, History
from .pg import Pg
from .proxy import CUT, Point, Proxy, Transaction

HERE = Path(__file__).resolve().parents[1]

POLICIES = {
    "t_append": {"order_key": "ord_key"},
    "t_dead": {"order_key": "ord_key", "on_reject": "dead_letter"},
    "t_tick": {},
    "t_upsert": {},
    "t_life": {},
}
RSS_KB_MAX = 400_000
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
        self.logs: list[Path] = []
        self.may_reject: frozenset = frozenset()
        self.may_exit_badly = False
        # Tables whose rows another command wrote again: their xmin says nothing any more.
        self.rewritten: set[str] = set()
        self.fds_max = FDS_MAX
        self._deferred: list = []
        self._own_log = None
        self.checks_live = True
        self._backends_max = 0
        self._open_max: Counter = Counter()
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
        if "replay" not in self.product.features:
            config["mix"] = {k: v for k, v in config.get("mix", MIX).items() if k != "again"}
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

    def wait_for_traffic(self, count: int = 20, seconds: float = 5) -> None:
        """Until the callers have been served for a while: what is broken before that proves little."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if sum(t.tag == "COMMIT" for p in self.proxies for t in p.transactions[:]) >= count:
                return
            time.sleep(0.01)

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
            if name is None or transaction is None or transaction.is_resolver or go.is_set():
                return None
            with lock:
                taken = name in held or any(p.link is point.link for p in held.values())
                if taken or (name == "after" and transaction.tag != "COMMIT"):
                    return None
                held[name] = point
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
        if self.checks_live:
            self._check_live()
        self._sampling.set()
        self._sampler.join()
        metrics = [g.metrics() if g.is_running() else {} for g in self.gateways]
        for gateway in self.gateways:
            code = gateway.stop()
            self.guard.forget(gateway.pid)
            if code != 0 and not self.may_exit_badly:
                self.broken("LIVE", f"{gateway.name} ended with {code} after SIGTERM")
        self._check_bounds()
        history = History(self.logs)
        with self.pg() as pg:
            contents = Contents(pg)
        self.history, self.contents, self.metrics = history, contents, metrics
        self.result.messages = len(history.messages)
        contents.rewritten = self.rewritten
        self.result.violations += oracles.judge(history, contents, self.may_reject)
        self._reconcile()
        self._split()
        if self.row.after:
            self.row.after(self)
        self._look_for_teeth()
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

    def _check_live(self) -> None:
        """After healing: fresh probes commit in every lane's table, and the pool is whole."""
        for number, gateway in enumerate(self.gateways):
            for table in ("t_append", "t_tick", "t_upsert"):
                if table in self.tables and not self._probe(gateway, number, table):
                    self.broken("LIVE", f"a fresh record for {table} did not commit in time")
        deadline = time.monotonic() + 8
        while True:
            open_count = [len(p.live_links()) for p in self.proxies]
            with self.pg() as pg:
                stuck = pg.query(
                    "SELECT pid, state FROM pg_stat_activity WHERE datname = current_database() "
                    f"AND usename = '{ROLE}' AND state LIKE 'idle in transaction%'")
            wanted = [g.connections for g in self.gateways]
            if open_count == wanted and not stuck:
                return
            if time.monotonic() > deadline:
                if open_count != wanted:
                    self.broken("LIVE", f"connections are {open_count}, not {wanted}")
                if stuck:
                    self.broken("LIVE", f"backends stay in transactions: {stuck}")
                return
            time.sleep(0.05)

    def _probe(self, gateway: Gateway, number: int, table: str) -> bool:
        identity = f"{self.row.name}.{self.number}.probe{number}.{table}"
        make = {
            "t_append": lambda: model.append(identity, identity, 1),
            "t_tick": lambda: model.tick(identity, "probe", 1_000_000 + number),
            "t_upsert": lambda: model.upsert(identity, identity, 1),
        }
        record = make[table]()
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            if self.call(gateway, record)[0] == "ok":
                return True
            time.sleep(0.1)
        return False

    def call(self, gateway: Gateway, record: model.Record, again: bool = False, timeout: float = 5):
        """Sends a record once, as callers do, with their log; returns its class and answer."""
        self.write(e="invoke", id=record.id, n=1, kind=record.kind, again=again, **record.facts)
        kind, body = self.post(gateway, record, timeout)
        error = body.get("error") or body
        details = {k: body[k] for k in ("result",) if k in body}
        details |= {k: error[k] for k in ("code", "written", "sqlstate") if error.get(k)}
        self.write(e="answer", id=record.id, n=1, c=kind, kind=record.kind, again=again, **details)
        return kind, body

    def call_many(self, gateway: Gateway, records: list[model.Record], timeout: float = 5):
        """Upserts in one request, each with its own ID; returns their classes."""
        lines = [
            json.dumps({
                "op": "upsert", "table": x.table, "id": x.id, "key": {"k": x.facts["k"]}, "data": x.data})
            for x in records
        ]
        for record in records:
            self.write(e="invoke", id=record.id, n=1, kind=record.kind, **record.facts)
        status, body = self._request(
            gateway, "POST", "/v1/bulk", "\n".join(lines).encode() + b"\n",
            {"Content-Type": "application/x-ndjson"}, timeout)
        if "items" in body:
            classes = [classify(item["status"], item) for item in body["items"]]
        else:
            classes = [classify(status, body) if status else body["class"]] * len(records)
        for record, kind in zip(records, classes):
            self.write(e="answer", id=record.id, n=1, c=kind, kind=record.kind)
        return classes

    def write(self, **fields) -> None:
        with self._lock:
            if self._own_log is None:
                path = self.folder / "harness.jsonl"
                self.logs.append(path)
                self._own_log = open(path, "w")
            self._own_log.write(json.dumps({**fields, "t": time.monotonic()}) + "\n")
            self._own_log.flush()

    def post(self, gateway: Gateway, record: model.Record, timeout: float = 5):
        path, method = f"/v1/tables/{record.table}/records", "POST"
        if record.kind == "upsert":
            path, method = f"{path}/{record.facts['k']}", "PUT"
        headers = {"Content-Type": "application/json", "Idempotency-Key": record.id}
        if record.kind in ("append", "dead"):
            headers["Weir-Order-Key"] = record.facts["k"]
        status, body = self._request(gateway, method, path, record.bytes(), headers, timeout)
        return (classify(status, body), body) if status else (body["class"], {})

    @staticmethod
    def _request(gateway, method, path, body, headers, timeout) -> tuple[int, dict]:
        """Status and body, or 0 and a class where there was no answer."""
        connection = http.client.HTTPConnection(*gateway.address, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except ConnectionRefusedError:
            return 0, {"class": "refused"}
        except (OSError, ValueError, http.client.HTTPException):
            return 0, {"class": "lost"}
        finally:
            connection.close()

    def _sample(self) -> None:
        while not self._sampling.wait(0.2):
            for number, (gateway, proxy) in enumerate(zip(self.gateways, self.proxies)):
                gateway.sample()
                self._open_max[number] = max(self._open_max[number], len(proxy.live_links()))

    def _check_bounds(self) -> None:
        for number, gateway in enumerate(self.gateways):
            if self._open_max[number] > gateway.connections:
                self.broken(
                    "BOUND", f"{self._open_max[number]} connections; {gateway.connections} allowed")
            rss = max((s["rss_kb"] for s in gateway.samples), default=0)
            fds = max((s["fds"] for s in gateway.samples), default=0)
            if rss > RSS_KB_MAX:
                self.broken("BOUND", f"{gateway.name} took {rss} kB")
            if fds > self.fds_max:
                self.broken("BOUND", f"{gateway.name} had {fds} descriptors")

    def _reconcile(self) -> None:
        """What the gateway counted is what callers were told, up to the answers that were lost."""
        if any(g.starts != 1 for g in self.gateways) or not all(self.metrics):
            return
        counted = sum(
            v for m in self.metrics for k, v in m.items() if k.startswith("weir_records_total"))
        classes = self.history.classes()
        lost = classes.get("lost", 0)
        told = sum(classes.values()) - lost - classes.get("refused", 0) - classes.get("gave_up", 0)
        if not told <= counted <= told + lost:
            self.broken(
                "RECON", f"the gateway counted {counted:.0f} records; callers had {told} answers "
                f"and lost {lost}")

    def truth(self, transaction: Transaction) -> str | None:
        """How a transaction ended: by its marker, else by what the proxy saw."""
        if transaction.marker in self.contents.attempts:
            return "committed" if self.contents.attempts[transaction.marker] == 0 else "aborted"
        if self.contents.has_replay and transaction.marker:
            return "aborted"
        return transaction.truth

    def _split(self) -> None:
        for proxy in self.proxies:
            for transaction in proxy.ambiguous():
                truth = self.truth(transaction)
                if truth == "committed":
                    self.result.committed += 1
                elif truth == "aborted":
                    self.result.aborted += 1
                seen = transaction.truth
                if seen and truth != seen:
                    self.broken(
                        "UNKNOWN", f"attempt {transaction.marker} {seen} by the proxy's account, "
                        f"and {truth} by the database's")
        if self.row.unknown_from == "callers":
            self.result.committed, self.result.aborted = self.history.recovered()

    def _look_for_teeth(self) -> None:
        """Whether the fault bit; a round in which it did not proves nothing."""
        lacking = [
            f"{what} {self.result.fired[what]} of {count}"
            for what, count in self.row.at_least.items() if self.result.fired[what] < count
        ]
        for outcome in self.row.unknown:
            if not getattr(self.result, outcome):
                lacking.append(f"nothing ambiguous that {outcome}")
        if self.result.messages < self.row.messages_min:
            lacking.append(f"{self.result.messages} messages")
        self.result.vacuous = ", ".join(lacking)

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
