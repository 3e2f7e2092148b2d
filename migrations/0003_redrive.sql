-- What a dead letter has to say so that it can be sent again as it was sent.

ALTER TABLE weir.dead_letter
    -- What the caller said of rows that exist: error, ignore or merge. Null: the table's setting counts.
    ADD COLUMN on_conflict text CHECK (on_conflict IN ('error', 'ignore', 'merge')),
    -- The column by which the caller said that newer rows are told from older ones.
    ADD COLUMN version_column text,
    -- Of the message, as in weir.replay_a: what was sent decides what is a repetition, whatever was
    -- edited since.
    ADD COLUMN message_fingerprint bigint;

-- A page of one group within a span of time. Pages are in the order of at and id.
CREATE INDEX dead_letter_fingerprint_at ON weir.dead_letter (fingerprint, at, id);
