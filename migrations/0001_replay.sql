-- The durable memory of message IDs and of attempts: two generations, of which one is current.
-- docs/decisions/0013-replay-generations.md says why; docs/OPERATING.md what it costs.
--
-- Every name is written out with its schema, and nothing depends on settings of the session. Objects
-- belong to whoever runs this; roles that write through the gateway get their rights from
-- `weir migrate --grant-to ROLE`.

-- CREATE SCHEMA IF NOT EXISTS asks for CREATE on the database even where the schema is there. An
-- administrator may have made it for a role that has no such right.
DO $$
BEGIN
    IF pg_catalog.to_regnamespace('weir') IS NULL THEN
        CREATE SCHEMA weir;
    END IF;
END
$$;

COMMENT ON SCHEMA weir IS 'Tables of the weir write gateway. Made by weir migrate.';

CREATE TABLE weir.migration (
    number       integer PRIMARY KEY CHECK (number > 0),
    name         text NOT NULL,
    -- SHA-256 of the file, in hexadecimal.
    checksum     text NOT NULL,
    applied_at   timestamptz NOT NULL DEFAULT pg_catalog.now(),
    weir_version text NOT NULL
);

-- Which generation takes new entries. One row.
CREATE TABLE weir.generation (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    current      text NOT NULL CHECK (current IN ('a', 'b')),
    -- When it became current; what the other one holds was committed before.
    since        timestamptz NOT NULL,
    -- Rotations so far. What was written at n is remembered while this is at most n + 1.
    number       bigint NOT NULL CHECK (number >= 0),
    -- Made once, with this row: tells the memories of two databases apart.
    installation uuid NOT NULL,
    CHECK ((current = 'a') = (number % 2 = 0))
);

-- One row for each transaction of a batch: its marker. Columns stand in the order of their alignment.
--
-- Nothing is ever updated, so pages are filled to the last byte.
CREATE TABLE weir.attempt_a (
    -- A UUID of version 7: rows of one time stand together in the index.
    id       uuid PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT pg_catalog.now(),
    attempt  integer NOT NULL,
    records  integer NOT NULL,
    -- 0: the transaction committed. 1: a fence, so that it never can.
    outcome  smallint NOT NULL,
    instance text,
    version  text
) WITH (fillfactor = 100);

-- One row for each message ID. 66 bytes and a line pointer where only what must be there is.
--
-- Filled to the last byte, too: only the results of upserts, patches and generated keys are updated,
-- right after their insertion, and the place that this would need is a whole row for each of them.
CREATE TABLE weir.replay_a (
    -- The first 128 bits of the SHA-256 of the caller's message ID.
    id          uuid PRIMARY KEY,
    attempt_id  uuid NOT NULL,
    -- Of table, operation and payload: the same ID with another one is refused.
    fingerprint bigint NOT NULL,
    -- The row of weir.dead_letter, where the record went there.
    dead_letter bigint,
    -- 0 inserted, 1 updated, 2 deleted, 3 unchanged, 4 ignored, 100 dead-lettered.
    outcome     smallint NOT NULL,
    -- The key as a JSON object, only where the database made it.
    key         text,
    request     text,
    trace       text
) WITH (fillfactor = 100);

CREATE TABLE weir.attempt_b (LIKE weir.attempt_a INCLUDING DEFAULTS INCLUDING INDEXES)
    WITH (fillfactor = 100);
CREATE TABLE weir.replay_b (LIKE weir.replay_a INCLUDING DEFAULTS INCLUDING INDEXES)
    WITH (fillfactor = 100);

-- Rows leave by TRUNCATE within two windows, so that vacuuming them because many were inserted gains
-- nothing; dead rows and transaction IDs that grow old are seen to as everywhere. ANALYZE stays: new
-- statistics are what makes cached plans notice that a table has grown. (The setting came with 13.)
DO $$
DECLARE
    name text;
BEGIN
    IF pg_catalog.current_setting('server_version_num')::int >= 130000 THEN
        FOREACH name IN ARRAY ARRAY['attempt_a', 'attempt_b', 'replay_a', 'replay_b'] LOOP
            EXECUTE pg_catalog.format(
                'ALTER TABLE weir.%I SET (autovacuum_vacuum_insert_threshold = -1)', name);
        END LOOP;
    END IF;
END
$$;

-- The fence: what has this constraint takes no entry. It is not valid, so that the rows that are there
-- are left alone, and no planner draws conclusions from it.
ALTER TABLE weir.attempt_b ADD CONSTRAINT weir_generation_closed CHECK (false) NOT VALID;
ALTER TABLE weir.replay_b ADD CONSTRAINT weir_generation_closed CHECK (false) NOT VALID;

-- gen_random_uuid() came with 13, and md5() is not to be had everywhere.
INSERT INTO weir.generation (current, since, number, installation)
SELECT 'a', pg_catalog.clock_timestamp(), 0, pg_catalog.string_agg(
        pg_catalog.lpad(pg_catalog.to_hex(
            pg_catalog.floor(pg_catalog.random() * 65536)::int), 4, '0'), '')::uuid
FROM pg_catalog.generate_series(1, 8);

-- Forgets the older generation and begins a new one, when the current one is older than `lifetime`.
-- Returns whether it did. Any number of gateways may call it at any time.
--
-- Lock order. Every transaction of a gateway begins with its marker, that is with attempt of the
-- current generation; so does this function. It therefore waits for writers while it holds nothing
-- they could want, and writers wait for it holding nothing that it wants. It waits for each lock
-- 1.5 s at most (55P03, and the next call tries again), for writers queue up behind it meanwhile:
-- longer than deadlock_timeout's 1 s, after which an autovacuum in the way is cancelled, shorter than
-- a gateway's own lock_timeout of 2 s.
CREATE FUNCTION weir.rotate(lifetime interval) RETURNS boolean
LANGUAGE plpgsql STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1500ms'
AS $$
DECLARE
    closing text;
    opening text;
    begun timestamptz;
BEGIN
    IF lifetime < interval '1 hour' THEN
        RAISE EXCEPTION 'message IDs are remembered for an hour at least, not for %', lifetime
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Two at a time: the second one has nothing left to do.
    SELECT g.current, g.since INTO closing, begun FROM weir.generation g FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR clock_timestamp() - begun < lifetime THEN
        RETURN false;
    END IF;
    opening := CASE closing WHEN 'a' THEN 'b' ELSE 'a' END;
    EXECUTE format(
        'LOCK TABLE weir.attempt_%1$s, weir.replay_%1$s, weir.replay_%2$s, weir.attempt_%2$s '
        'IN ACCESS EXCLUSIVE MODE', closing, opening);
    -- From here on nobody else has an uncommitted entry in either generation.
    EXECUTE format('TRUNCATE weir.replay_%1$s, weir.attempt_%1$s', opening);
    EXECUTE format(
        'ALTER TABLE weir.attempt_%1$s DROP CONSTRAINT weir_generation_closed;'
        'ALTER TABLE weir.replay_%1$s DROP CONSTRAINT weir_generation_closed;'
        'ALTER TABLE weir.attempt_%2$s ADD CONSTRAINT weir_generation_closed CHECK (false) NOT VALID;'
        'ALTER TABLE weir.replay_%2$s ADD CONSTRAINT weir_generation_closed CHECK (false) NOT VALID',
        opening, closing);
    -- The clock, not the transaction's begin: entries were committed while this waited.
    UPDATE weir.generation SET current = opening, since = clock_timestamp(), number = number + 1;
    RETURN true;
END
$$;

REVOKE ALL ON FUNCTION weir.rotate(interval) FROM PUBLIC;
