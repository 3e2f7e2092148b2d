"""What callers wrote down and what the database holds, side by side, for the oracles to compare."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from .pg import Pg


@dataclass
class Message:
    """All that callers know of one ID."""

    id: str
    kind: str
    facts: dict
    invoked: list[float] = field(default_factory=list)
    answers: list[dict] = field(default_factory=list)

    def has(self, *classes: str) -> bool:
        return any(a["c"] in classes for a in self.answers)

    def count(self, *classes: str) -> int:
        return sum(a["c"] in classes for a in self.answers)

    @property
    def is_acked(self) -> bool:
        return self.has("ok")

    @property
    def may_be_written(self) -> bool:
        """Whether some attempt was answered with less than certainty, or not at all."""
        return self.has("ok", "unknown", "lost", "odd") or len(self.invoked) > len(self.answers)

    @property
    def first_ok(self) -> float:
        return min(a["t"] for a in self.answers if a["c"] == "ok")


class History:
    """The logs of all callers of a round."""

    def __init__(self, paths: list[Path]):
        self.messages: dict[str, Message] = {}
        for path in paths:
            for line in path.read_text().splitlines():
                self._read(json.loads(line))

    def _read(self, entry: dict) -> None:
        message = self.messages.get(entry["id"])
        if entry["e"] == "invoke":
            if message is None:
                facts = {
                    k: v for k, v in entry.items() if k not in ("e", "id", "n", "kind", "again", "t")
                }
                message = self.messages[entry["id"]] = Message(entry["id"], entry["kind"], facts)
            message.invoked.append(entry["t"])
        elif message is not None:
            message.answers.append(entry)

    def of_kind(self, *kinds: str) -> list[Message]:
        return [m for m in self.messages.values() if m.kind in kinds]

    def classes(self) -> dict[str, int]:
        """How many answers of each class were given."""
        found: dict[str, int] = defaultdict(int)
        for message in self.messages.values():
            for answer in message.answers:
                found[answer["c"]] += 1
        return dict(found)

    def codes(self, wanted: tuple[str, ...]) -> int:
        """How many answers had one of these codes."""
        return sum(
            a.get("code") in wanted for m in self.messages.values() for a in m.answers)

    def recovered(self) -> tuple[int, int]:
        """Of the messages that lost an answer: how many had committed, how many had not."""
        committed = aborted = 0
        for message in self.messages.values():
            seen_loss = False
            for answer in sorted(message.answers, key=lambda a: a["t"]):
                if answer["c"] in ("lost", "unknown"):
                    seen_loss = True
                elif answer["c"] == "ok" and seen_loss:
                    if answer.get("result") == "replayed":
                        committed += 1
                    else:
                        aborted += 1
                    break
                elif answer["c"] in ("ok", "dead", "rejected"):
                    break
        return committed, aborted


@dataclass
class Row:
    """A row of t_append, t_dead or t_tick."""

    id: str
    key: str
    seq: int
    payload: str
    apply_seq: int
    xmin: str
    bad: bool = False


class Contents:
    """What the database holds when a round is over."""

    def __init__(self, pg: Pg):
        self.tables = {
            name for (name,) in pg.query("SELECT tablename FROM pg_tables WHERE schemaname='public'")
        }
        # Tables whose rows another command wrote again.
        self.rewritten: set[str] = set()
        # Whether some table's definition was another one during the round.
        self.has_changed = False
        # Whether older entries of the replay table may be gone.
        self.has_forgotten = False
        self.has_replay = pg.value("SELECT to_regclass('weir.replay_a')") is not None
        self.rows: dict[str, list[Row]] = {}
        for table in ("t_append", "t_dead"):
            if table in self.tables:
                self.rows[table] = [
                    Row(i, k, int(s), p, int(a), x, b == "t") for i, k, s, p, a, x, b in pg.query(
                        "SELECT id, ord_key, key_seq, payload, apply_seq, xmin, bad FROM "
                        f"{table} ORDER BY apply_seq")
                ]
        if "t_tick" in self.tables:
            self.rows["t_tick"] = [
                Row(i, k, int(s), p, 0, x) for i, k, s, p, x in pg.query(
                    "SELECT id, k, seq, payload, xmin FROM t_tick")
            ]
        self.counters = self._pairs(pg, "t_counter", "SELECT k, n FROM t_counter")
        self.upserts = self._triples(pg, "t_upsert", "SELECT k, version, id, payload FROM t_upsert")
        self.lives = self._triples(pg, "t_life", "SELECT k, stage, id, payload FROM t_life")
        self.replay: dict[str, dict] = {}
        self.replay_count: dict[str, int] = defaultdict(int)
        self.attempts: dict[str, int] = {}
        self.dead: list[tuple] = []
        if self.has_replay:
            self._read_replay(pg)

    def _pairs(self, pg: Pg, table: str, sql: str) -> dict[str, int]:
        return {k: int(n) for k, n in pg.query(sql)} if table in self.tables else {}

    def _triples(self, pg: Pg, table: str, sql: str) -> dict[str, tuple[int, str, str]]:
        if table not in self.tables:
            return {}
        return {k: (int(n), i, p) for k, n, i, p in pg.query(sql)}

    def _read_replay(self, pg: Pg) -> None:
        for generation in "ab":
            for identity, outcome, attempt, xmin in pg.query(
                f"SELECT id, outcome, attempt_id, xmin FROM weir.replay_{generation}"
            ):
                self.replay[identity] = {"outcome": int(outcome), "attempt": attempt, "xmin": xmin}
                self.replay_count[identity] += 1
            for identity, outcome in pg.query(f"SELECT id, outcome FROM weir.attempt_{generation}"):
                # Whoever asks after a change of generation puts the fence into the other one.
                self.attempts[identity] = min(int(outcome), self.attempts.get(identity, 1))
        if pg.value("SELECT to_regclass('weir.dead_letter')") is not None:
            self.dead = pg.query(
                "SELECT message_id, encode(raw, 'hex'), sqlstate, constraint_name, table_name "
                "FROM weir.dead_letter ORDER BY id")
