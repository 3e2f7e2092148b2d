"""What both sides know: the tables, and what every byte of a record must be, given its ID alone."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field

TABLES = ("t_append", "t_dead", "t_tick", "t_upsert", "t_life")

# No unique constraint on `id`: it would hide what is applied twice.
SCHEMA = """
CREATE TABLE t_append (
  apply_seq bigserial PRIMARY KEY, id text NOT NULL, ord_key text NOT NULL, key_seq bigint NOT NULL,
  payload text NOT NULL, bad boolean, lsn pg_lsn DEFAULT pg_current_wal_insert_lsn(),
  CONSTRAINT t_append_good CHECK (bad IS NOT TRUE));
CREATE TABLE t_dead (
  apply_seq bigserial PRIMARY KEY, id text NOT NULL, ord_key text NOT NULL, key_seq bigint NOT NULL,
  payload text NOT NULL, bad boolean,
  CONSTRAINT t_dead_good CHECK (bad IS NOT TRUE));
CREATE TABLE t_tick (seq bigint NOT NULL, id text NOT NULL, k text NOT NULL, payload text NOT NULL);
CREATE TABLE t_counter (k text PRIMARY KEY, n bigint NOT NULL);
CREATE TABLE t_upsert (
  k text PRIMARY KEY, version bigint NOT NULL, id text NOT NULL, payload text NOT NULL);
CREATE TABLE t_life (
  k text PRIMARY KEY, stage int NOT NULL, id text NOT NULL, payload text NOT NULL);

-- Not idempotent: a row that is written twice counts twice. Sorted, so that batches meet no deadlock.
CREATE FUNCTION count_ticks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO t_counter AS c SELECT k, count(*) FROM fresh GROUP BY k ORDER BY k
    ON CONFLICT (k) DO UPDATE SET n = c.n + excluded.n;
  RETURN NULL;
END $$;
CREATE TRIGGER t_tick_count AFTER INSERT ON t_tick REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION count_ticks();

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO weir;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO weir;
"""


def payload(message: str) -> str:
    """The text that a record with this ID carries: 16 to 271 characters."""
    digest = hashlib.sha256(b"payload " + message.encode()).hexdigest()
    length = 16 + int(digest[:2], 16)
    return (digest * 5)[:length]


def replay_id(message: str) -> str:
    """The ID under which a message is remembered: the first 128 bits of its SHA-256."""
    return str(uuid.UUID(bytes=hashlib.sha256(message.encode()).digest()[:16]))


@dataclass
class Record:
    """One record as its caller means it. `facts` is what the oracles judge it by."""

    id: str
    kind: str  # append, anonymous, dead, tick, upsert, life.insert, life.patch, life.delete
    table: str
    data: dict
    facts: dict = field(default_factory=dict)

    def bytes(self) -> bytes:
        return json.dumps(self.data, separators=(",", ":")).encode()


def append(message: str, ord_key: str, key_seq: int, bad: bool = False, table: str = "t_append"):
    data = {"id": message, "ord_key": ord_key, "key_seq": key_seq, "payload": payload(message)}
    if bad:
        data["bad"] = True
    kind = "dead" if table == "t_dead" else "append"
    return Record(message, kind, table, data, {"k": ord_key, "v": key_seq, "bad": bad})


def tick(message: str, key: str, seq: int):
    data = {"seq": seq, "id": message, "k": key, "payload": payload(message)}
    return Record(message, "tick", "t_tick", data, {"k": key, "v": seq})


def upsert(message: str, key: str, version: int):
    data = {"version": version, "id": message, "payload": payload(message)}
    return Record(message, "upsert", "t_upsert", data, {"k": key, "v": version})


def life(message: str, key: str, stage: int):
    """Stage 0 inserts the row, 1 patches it, 2 deletes it: each fails if done again or too early."""
    names = ("life.insert", "life.patch", "life.delete")
    data = {"stage": stage, "id": message, "payload": payload(message)}
    if stage == 0:
        data = {"k": key, **data}
    if stage == 2:
        data = {}
    return Record(message, names[stage], "t_life", data, {"k": key, "v": stage})
