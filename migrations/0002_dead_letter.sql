-- Records that can never be applied as they were sent, for tables with `on_reject: dead_letter`.

CREATE TABLE weir.dead_letter (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT pg_catalog.now(),
    -- Of table_name, sqlstate, constraint_name, column_name and code, which are the same in all rows
    -- that share it: the group. A filter by any of them is a choice of groups.
    fingerprint     bigint NOT NULL,
    -- The first 128 bits of the SHA-256 of message_id, as in weir.replay_a.
    message         uuid,
    attempt_id      uuid,
    edited_at       timestamptz,
    redriven_at     timestamptz,
    attempts        integer NOT NULL DEFAULT 1,
    edits           integer NOT NULL DEFAULT 0,
    redrives        integer NOT NULL DEFAULT 0,
    table_name      text NOT NULL,
    operation       text NOT NULL,
    message_id      text,
    order_key       text,
    -- A JSON object as text: jsonb knows no \u0000, which may be why the record is here.
    key             text,
    media_type      text,
    sqlstate        text,
    constraint_name text,
    column_name     text,
    code            text NOT NULL,
    reason          text NOT NULL CHECK (pg_catalog.octet_length(reason) <= 1024),
    request         text,
    trace           text,
    instance        text,
    version         text,
    config_hash     text,
    -- What the last redrive met, if it failed.
    redrive_code    text,
    redrive_reason  text CHECK (pg_catalog.octet_length(redrive_reason) <= 1024),
    -- The exact bytes. Beyond 2 kB a row's long values are stored apart, and a list never reads them.
    raw             bytea NOT NULL,
    -- What is sent instead, if somebody edited it; raw stays.
    edited          bytea
);

COMMENT ON TABLE weir.dead_letter IS 'Records that could not be applied. weir dlq reads and redrives them.';

-- A page is a range of the primary key, or, with a filter, the newest of each chosen group, merged.
CREATE INDEX dead_letter_fingerprint ON weir.dead_letter (fingerprint, id);
CREATE INDEX dead_letter_at ON weir.dead_letter (at, id);
CREATE INDEX dead_letter_message ON weir.dead_letter (message) WHERE message IS NOT NULL;

-- How many rows a group has: counted as they come and go, since counting a million takes longer than a
-- page may. Transactions of different sessions add to different rows, so that nobody waits until
-- somebody else's dead letter is committed; a single row may be below zero, and their sum never is.
CREATE TABLE weir.dead_letter_count (
    fingerprint bigint NOT NULL,
    shard       smallint NOT NULL,
    count       bigint NOT NULL,
    PRIMARY KEY (fingerprint, shard)
) WITH (fillfactor = 50);

-- Groups are taken in the order of their fingerprints, so that two statements cannot deadlock.
CREATE FUNCTION weir.count_dead_letters() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own_shard smallint := pg_backend_pid() % 16;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM weir.dead_letter_count;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO weir.dead_letter_count AS c
        SELECT fingerprint, own_shard, count(*) FROM added GROUP BY fingerprint ORDER BY fingerprint
        ON CONFLICT (fingerprint, shard) DO UPDATE SET count = c.count + excluded.count;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO weir.dead_letter_count AS c
        SELECT fingerprint, own_shard, -count(*) FROM removed GROUP BY fingerprint ORDER BY fingerprint
        ON CONFLICT (fingerprint, shard) DO UPDATE SET count = c.count + excluded.count;
    ELSE
        INSERT INTO weir.dead_letter_count AS c
        SELECT fingerprint, own_shard, sum(change)
        FROM (SELECT fingerprint, 1 AS change FROM added
              UNION ALL SELECT fingerprint, -1 FROM removed) AS changes
        GROUP BY fingerprint HAVING sum(change) <> 0 ORDER BY fingerprint
        ON CONFLICT (fingerprint, shard) DO UPDATE SET count = c.count + excluded.count;
    END IF;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION weir.count_dead_letters() FROM PUBLIC;

CREATE TRIGGER count_added AFTER INSERT ON weir.dead_letter REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION weir.count_dead_letters();
CREATE TRIGGER count_removed AFTER DELETE ON weir.dead_letter REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION weir.count_dead_letters();
CREATE TRIGGER count_changed AFTER UPDATE ON weir.dead_letter
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION weir.count_dead_letters();
CREATE TRIGGER count_none AFTER TRUNCATE ON weir.dead_letter
    FOR EACH STATEMENT EXECUTE FUNCTION weir.count_dead_letters();

-- What there is, most first: its count, its oldest row as the sample, its first and last time. All but
-- the count is looked up in the rows themselves, so that it is right whichever of them are gone.
CREATE VIEW weir.dead_letter_group AS
SELECT c.fingerprint, f.table_name, f.sqlstate, f.constraint_name, f.column_name, f.code, f.reason,
       c.count, f.id AS sample, f.at AS first_at, l.at AS last_at
FROM (SELECT fingerprint, pg_catalog.sum(count)::bigint AS count FROM weir.dead_letter_count
      GROUP BY fingerprint) AS c
CROSS JOIN LATERAL (
    SELECT d.id, d.at, d.table_name, d.sqlstate, d.constraint_name, d.column_name, d.code, d.reason
    FROM weir.dead_letter d WHERE d.fingerprint = c.fingerprint ORDER BY d.id LIMIT 1) AS f
CROSS JOIN LATERAL (
    SELECT d.at FROM weir.dead_letter d WHERE d.fingerprint = c.fingerprint
    ORDER BY d.id DESC LIMIT 1) AS l;
