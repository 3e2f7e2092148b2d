#!/usr/bin/env python3
"""The oracles and the proxy's reading, each shown to notice what it is there for."""

from __future__ import annotations

import struct
import sys
import unittest
import uuid
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import model, oracles, wire  # noqa: E402
from harness.history import Contents, History, Message, Row  # noqa: E402


class World:
    """Two appends, a tick, an upsert, a row's life and a dead letter, all as they should be."""

    def __init__(self):
        self.history = History([])
        self.contents = Contents.__new__(Contents)
        contents = self.contents
        contents.tables = set(model.TABLES)
        contents.rewritten, contents.has_replay, contents.has_changed = set(), True, False
        contents.has_forgotten = False
        contents.rows = {"t_append": [], "t_dead": [], "t_tick": []}
        contents.counters, contents.upserts, contents.lives = {"c": 1}, {}, {}
        contents.replay, contents.replay_count = {}, defaultdict(int)
        contents.attempts, contents.dead = {"attempt": 0}, []
        for number in (1, 2):
            self.add(model.append(f"a{number}", "key", number))
            self.write("t_append", f"a{number}", "key", number)
        self.add(model.tick("t1", "c", 1))
        self.write("t_tick", "t1", "c", 1)
        self.add(model.upsert("u1", "k", 1))
        self.add(model.upsert("u2", "k", 2))
        for identity in ("u1", "u2"):
            self.remember(identity)
        contents.upserts["k"] = (2, "u2", model.payload("u2"))
        for stage in range(3):
            self.add(model.life(f"l{stage}", "row", stage))
            self.remember(f"l{stage}")
        bad = model.append("d1", "key", 1, bad=True, table="t_dead")
        self.add(bad, "dead")
        self.remember("d1", outcome=100)
        contents.dead.append(("d1", bad.bytes().hex(), "23514", "t_dead_good", "t_dead"))

    def add(self, record: model.Record, kind: str = "ok") -> Message:
        message = Message(record.id, record.kind, dict(record.facts), [1.0])
        message.answers.append({"c": kind, "t": 2.0, "result": "inserted"})
        self.history.messages[record.id] = message
        return message

    def write(self, table: str, identity: str, key: str, seq: int) -> None:
        rows = self.contents.rows[table]
        rows.append(Row(identity, key, seq, model.payload(identity), len(rows) + 1, "700"))
        self.remember(identity)

    def remember(self, identity: str, outcome: int = 0) -> None:
        entry = {"outcome": outcome, "attempt": "attempt", "xmin": "700"}
        self.contents.replay[model.replay_id(identity)] = entry
        self.contents.replay_count[model.replay_id(identity)] += 1

    def message(self, identity: str) -> Message:
        return self.history.messages[identity]

    def broken(self) -> set[str]:
        return {name for name, _ in oracles.judge(self.history, self.contents)}


class OracleTests(unittest.TestCase):
    def test_a_world_in_order_breaks_nothing(self):
        world = World()
        self.assertEqual(oracles.judge(world.history, world.contents), [])

    def test_lost(self):
        world = World()
        del world.contents.rows["t_append"][1]
        self.assertIn("LOST", world.broken())

    def test_twice_in_a_table(self):
        world = World()
        world.contents.rows["t_append"].append(world.contents.rows["t_append"][1])
        self.assertIn("TWICE", world.broken())

    def test_twice_in_a_counter(self):
        world = World()
        world.contents.counters["c"] = 2
        self.assertIn("TWICE", world.broken())

    def test_twice_where_a_late_duplicate_was_not_replayed(self):
        world = World()
        world.message("u1").answers.append({"c": "ok", "t": 3, "result": "updated", "again": True})
        self.assertIn("TWICE", world.broken())

    def test_twice_where_a_step_of_a_life_is_refused_or_undone(self):
        world = World()
        world.message("l1").answers.append({"c": "rejected", "t": 3, "code": "record-not-found"})
        self.assertIn("TWICE", world.broken())
        world = World()
        world.contents.lives["row"] = (0, "l0", model.payload("l0"))
        self.assertIn("TWICE", world.broken())

    def test_ghosts(self):
        world = World()
        world.write("t_append", "nobody", "key", 3)
        self.assertIn("GHOST", world.broken())
        world = World()
        world.contents.rows["t_append"][0].payload = "something else"
        self.assertIn("GHOST", world.broken())
        world = World()
        world.contents.upserts["k"] = (2, "u2", "something else")
        self.assertIn("GHOST", world.broken())

    def test_aborted(self):
        for kind in ("no", "rejected", "refused"):
            world = World()
            world.message("a1").answers[0]["c"] = kind
            self.assertIn("ABORTED", world.broken())

    def test_dead(self):
        world = World()
        world.contents.dead.clear()
        self.assertIn("DEAD", world.broken())
        world = World()
        world.contents.dead *= 2
        self.assertIn("DEAD", world.broken())
        world = World()
        identity, raw, *rest = world.contents.dead[0]
        world.contents.dead[0] = (identity, raw + "20", *rest)
        self.assertIn("DEAD", world.broken())
        world = World()
        world.write("t_dead", "d1", "key", 1)
        self.assertIn("DEAD", world.broken())

    def test_refused_and_not_kept(self):
        world = World()
        world.add(model.append("d2", "key", 2, bad=True, table="t_dead"), "rejected")
        world.message("d2").answers[0]["sqlstate"] = "23514"
        self.assertIn("DEAD", world.broken())

    def test_atomic(self):
        for change in (
            lambda c: c.rows["t_append"][0].__dict__.update(xmin="701"),
            lambda c: c.replay.pop(model.replay_id("a1")),
            lambda c: c.rows["t_append"].pop(0),
            lambda c: c.attempts.update(attempt=1),
            lambda c: c.replay_count.update({model.replay_id("a1"): 2}),
        ):
            world = World()
            change(world.contents)
            self.assertIn("ATOMIC", world.broken())

    def test_a_group_in_part(self):
        world = World()
        for identity in ("a2", "t1"):
            world.message(identity).facts["pair"] = "a2"
        self.assertEqual(world.broken(), set())
        del world.contents.rows["t_append"][1]
        self.assertIn("ATOMIC", world.broken())

    def test_order(self):
        world = World()
        world.contents.rows["t_append"].reverse()
        self.assertIn("ORDER", world.broken())

    def test_upsert(self):
        world = World()
        world.contents.upserts["k"] = (1, "u1", model.payload("u1"))
        self.assertIn("UPSERT", world.broken())

    def test_fates_that_differ(self):
        world = World()
        world.message("a1").answers.append({"c": "rejected", "t": 3})
        self.assertIn("RECON", world.broken())
        world.contents.has_changed = True
        self.assertIn("RECON", world.broken())
        world.message("a1").answers[1]["t"] = 1.5
        self.assertNotIn("RECON", world.broken())

    def test_no_final_answer(self):
        world = World()
        world.message("a1").answers[0]["c"] = "unknown"
        self.assertIn("LIVE", world.broken())


class WireTests(unittest.TestCase):
    def test_messages_are_taken_whole(self):
        whole = b"C" + struct.pack("!I", 11) + b"COMMIT\0"
        buffer = bytearray(whole + whole[:7])
        self.assertEqual([m for _, m in wire.messages(buffer)], [whole])
        self.assertEqual(bytes(buffer), whole[:7])

    def test_commit_is_known_in_both_forms(self):
        self.assertTrue(wire.ends_with_commit("COMMIT"))
        self.assertTrue(wire.ends_with_commit("SELECT 1; COMMIT"))
        self.assertFalse(wire.ends_with_commit("SELECT 'COMMIT'"))

    def test_sync_commits_what_has_no_begin(self):
        bind, sync = b"B" + struct.pack("!I", 5) + b"S", b"S" + struct.pack("!I", 4)
        implicit = wire.Transaction(1, 1, is_implicit=True)
        self.assertFalse(wire.commits_in(bind + sync[:3], implicit))
        self.assertTrue(wire.commits_in(bind + sync, implicit))
        self.assertFalse(wire.commits_in(bind + sync, wire.Transaction(1, 1)))

    def test_a_marker_is_found_in_text_and_parameters(self):
        identity = uuid.UUID("01890000-0000-7000-8000-000000000001")
        self.assertEqual(wire.uuid_in(f"INSERT … '{identity}'", b""), str(identity))
        parameters = struct.pack("!HHHi", 1, 1, 2, 2) + b"ab" + struct.pack("!i", 16) + identity.bytes
        self.assertEqual(wire.uuid_in("INSERT …", parameters), str(identity))


if __name__ == "__main__":
    unittest.main()
