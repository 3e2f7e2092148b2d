"""Tables change while records are on their way."""

from __future__ import annotations

import time

from harness.cluster import ROLE
from harness.wire import Point
from harness.round import Round
from harness.rows import row

from .database import codes_of_rejected, errors, nobody_rejected

# Records that may become dead letters before the gateway sees that it is the table that is wrong.
BEFORE_BREAKER = 20


def no_mass_letters(r: Round) -> None:
    letters = [x for x in r.contents.dead if x[2] == "23502"]
    if len(letters) > BEFORE_BREAKER:
        r.broken("DEAD", f"{len(letters)} dead letters because a column was added")
    codes = codes_of_rejected(r, "append", "dead")
    r.fire("refused", sum(codes.values()))
    r.note(f"{len(letters)} dead letters; {codes}")


@row("F-33", "a column that must be given is added", at_least={"altered": 2, "refused": 1},
     after=lambda r: no_mass_letters(r), needs=frozenset({"on_reject"}), selected=1)
def column_added(r: Round) -> None:
    r.begin()
    r.changes_tables = True
    r.load(r.seconds + 1.5, mix={"append": 300, "dead": 600, "upsert": 100, "again": 50})
    r.wait_for_traffic(20)
    for table in ("t_dead", "t_append"):
        alter(r, f"ALTER TABLE {table} ADD must int NOT NULL DEFAULT 0; "
                 f"ALTER TABLE {table} ALTER must DROP DEFAULT")
    r.pause(0.8, 1.2)
    for table in ("t_dead", "t_append"):
        with r.pg() as pg:
            pg.query(f"ALTER TABLE {table} ALTER must SET DEFAULT 0")


def alter(r: Round, sql: str, what: str = "altered") -> None:
    with r.pg() as pg:
        pg.query(sql)
    r.fire(what)


def renamed_is_said(r: Round) -> None:
    codes = codes_of_rejected(r, "append")
    allowed = {"rejected unknown-column", "rejected missing-key", "rejected not-null-violation"}
    if set(codes) - allowed:
        r.broken("DEAD", f"records were refused for {codes}")
    others = codes_of_rejected(r, "upsert")
    if others:
        r.broken("DEAD", f"upserts were refused for {others}")


@row("F-34", "columns are dropped, renamed and given other types", at_least={"altered": 6},
     after=renamed_is_said)
def columns_change(r: Round) -> None:
    r.begin(schema="ALTER TABLE t_upsert ADD note text DEFAULT 'n';")
    r.changes_tables = True
    r.rewritten.add("t_append")
    r.load(r.seconds + 1.5, mix={"append": 500, "upsert": 300, "burst": 50, "again": 100})
    changes = [
        "ALTER TABLE t_append RENAME payload TO content",
        "ALTER TABLE t_append RENAME content TO payload",
        "ALTER TABLE t_append ALTER key_seq TYPE numeric",
        "ALTER TABLE t_append ALTER key_seq TYPE bigint",
        "ALTER TABLE t_upsert DROP note",
        "ALTER TABLE t_upsert ALTER version TYPE numeric",
        "ALTER TABLE t_upsert ALTER version TYPE bigint",
    ]
    r.wait_for_traffic(20)
    for sql in changes:
        alter(r, sql)
        r.pause(0.1, 0.35)


@row("F-35", "cached plan must not change result type", at_least={"altered": 4, "0A000": 1},
     after=nobody_rejected)
def plans_change(r: Round) -> None:
    """The type of the key that t_append's statements return changes; they were prepared before."""
    r.begin()
    r.rewritten.add("t_append")
    r.proxy.script = errors(r)
    r.load(r.seconds + 1.5, mix={"append": 700, "burst": 100, "upsert": 100, "again": 100})
    r.wait_for_traffic(20)
    for number in range(6):
        alter(r, f"ALTER TABLE t_append ALTER apply_seq TYPE {('int', 'bigint')[number % 2]}")
        r.pause(0.1, 0.3)


@row("F-36", "the table is renamed away, and the right to insert revoked", at_least={"altered": 4},
     after=nobody_rejected, selected=1)
def table_gone(r: Round) -> None:
    r.begin()
    r.load(r.seconds + 2)
    changes = [
        ("ALTER TABLE t_append RENAME TO t_gone", "ALTER TABLE t_gone RENAME TO t_append"),
        (f"REVOKE INSERT ON t_append FROM {ROLE}", f"GRANT INSERT ON t_append TO {ROLE}"),
    ]
    r.wait_for_traffic(20)
    r.rng.shuffle(changes)
    for broken, whole in changes:
        alter(r, broken)
        r.pause(0.3, 0.8)
        alter(r, whole)
        r.pause(0.2, 0.4)


PARTITIONED = """
DROP TABLE t_tick;
CREATE TABLE t_tick (seq bigint NOT NULL, id text NOT NULL, k text NOT NULL, payload text NOT NULL)
  PARTITION BY RANGE (seq);
CREATE TABLE t_tick_low PARTITION OF t_tick FOR VALUES FROM (0) TO (6);
CREATE TRIGGER t_tick_count AFTER INSERT ON t_tick REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION count_ticks();
"""


@row("F-37", "the partition for new records is missing", at_least={"23514": 1, "partitions": 1},
     after=nobody_rejected, selected=1)
def no_partition(r: Round) -> None:
    r.begin(schema=PARTITIONED)
    missing = [0]

    def script(point: Point):
        if point.name == "error" and b"no partition" in point.message:
            missing[0] += 1
            r.fire("23514")
        return None

    r.proxy.script = script
    r.load(r.seconds + 1.5, mix={"append": 300, "tick": 400, "upsert": 100, "again": 100})
    deadline = time.monotonic() + 4
    while not missing[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    r.pause(0.4, 0.8)
    alter(r, "CREATE TABLE t_tick_rest PARTITION OF t_tick FOR VALUES FROM (6) TO (1000000000)",
          "partitions")


TRIGGERS = """
CREATE TABLE slow (is_on boolean);
INSERT INTO slow VALUES (true);
CREATE FUNCTION odd_numbers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.key_seq % 7 = 3 THEN RETURN NULL; END IF;
  IF NEW.key_seq % 7 = 5 THEN RAISE EXCEPTION 'not this one'; END IF;
  IF NEW.key_seq % 11 = 9 AND (SELECT is_on FROM slow) THEN PERFORM pg_sleep(1); END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER t_append_odd BEFORE INSERT ON t_append FOR EACH ROW EXECUTE FUNCTION odd_numbers();
"""


def only_the_odd_rejected(r: Round) -> None:
    for message in r.history.of_kind("append"):
        number = message.facts["v"] % 7
        if message.has("rejected") and number not in (3, 5) and not message.facts["bad"]:
            codes = {a.get("code") for a in message.answers if a["c"] == "rejected"}
            if codes != {"rolled-back"}:
                r.broken("DEAD", f"{message.id} is good, and was refused: {codes}")
        if message.is_acked and number in (3, 5):
            r.broken("GHOST", f"{message.id} was acknowledged, and its trigger keeps it out")


@row("F-38", "triggers drop rows, raise exceptions and sleep", at_least={"P0001": 2, "57014": 1},
     after=only_the_odd_rejected, selected=1)
def triggers(r: Round) -> None:
    r.begin(schema=TRIGGERS, settings={
        "database.statement_timeout": "300ms", "database.lock_timeout": "200ms"})
    r.proxy.script = errors(r)
    r.load(r.seconds + 1, workers=4)
    r.pause(1.2, 1.6)
    alter(r, "UPDATE slow SET is_on = false", "awake")


DEFERRED = """
CREATE TABLE t_known (k text PRIMARY KEY);
INSERT INTO t_known VALUES ('c0'), ('c1'), ('c2'), ('c3'), ('probe');
ALTER TABLE t_tick ADD CONSTRAINT t_tick_known FOREIGN KEY (k) REFERENCES t_known
  DEFERRABLE INITIALLY DEFERRED;
"""


def only_unknown_keys_rejected(r: Round) -> None:
    for message in r.history.of_kind("tick"):
        bad = message.facts["k"] == "c4"
        if bad and message.is_acked:
            r.broken("GHOST", f"{message.id} was acknowledged against its foreign key")
        if not bad and message.has("rejected"):
            codes = {a.get("code") for a in message.answers if a["c"] == "rejected"}
            if codes != {"rolled-back"}:
                r.broken("DEAD", f"{message.id} is good, and was refused: {codes}")


@row("F-39", "a deferred foreign key fails at COMMIT", at_least={"23503": 3},
     after=only_unknown_keys_rejected, selected=1)
def deferred(r: Round) -> None:
    r.begin(schema=DEFERRED)
    r.proxy.script = errors(r)
    r.load(mix={"append": 200, "tick": 400, "bulk": 100, "pair": 100, "twins": 50, "again": 100})


@row("F-40", "generations of the replay table change under load, with duplicates across the seam",
     at_least={"rotated": 1}, needs=frozenset({"replay"}), selected=1)
def rotate(r: Round) -> None:
    """One change in a round: an ID is remembered for one window at least, and so across one seam.

    In every second round no ID is remembered in memory, so that what comes again after the change is
    looked for in the older generation.
    """
    r.begin(settings={"replay.memory_records": "0"} if r.number % 2 else None)
    r.load(r.seconds + 1, mix={
        "append": 250, "tick": 150, "upsert": 100, "life": 50, "burst": 50, "twins": 150,
        "again": 250, "poison_dead": 5})
    r.wait_for_traffic(40)
    r.pause(0.2, r.seconds)
    r.rotate()
