-- A schema of its own, so that the example can be run in any database and leaves the rest alone.
DROP SCHEMA IF EXISTS package_index CASCADE;
CREATE SCHEMA package_index;

CREATE TABLE package_index.packages (
    package         text NOT NULL,
    version         text NOT NULL,
    architecture    text NOT NULL,
    section         text NOT NULL DEFAULT 'unknown',
    priority        text NOT NULL DEFAULT 'optional',
    maintainer      text NOT NULL DEFAULT 'nobody',
    source          text,
    source_version  text NOT NULL DEFAULT 'same',
    multi_arch      text NOT NULL DEFAULT 'no',
    essential       boolean NOT NULL DEFAULT false,
    homepage        text,
    installed_kib   integer,
    size            bigint NOT NULL DEFAULT 0,
    filename        text,
    description_md5 uuid,
    sha256          bytea,
    synopsis        text NOT NULL DEFAULT 'none',
    description     text NOT NULL DEFAULT 'none',
    depends         jsonb NOT NULL DEFAULT '[]',
    tags            text[] NOT NULL DEFAULT '{}',
    other           jsonb NOT NULL DEFAULT '{}',
    -- Written by the later phases.
    revision        integer NOT NULL DEFAULT 1,
    ratio           numeric(12, 6),
    note            text DEFAULT 'untouched',
    edit_0 integer NOT NULL DEFAULT 0, edit_1 integer NOT NULL DEFAULT 0,
    edit_2 integer NOT NULL DEFAULT 0, edit_3 integer NOT NULL DEFAULT 0,
    edit_4 integer NOT NULL DEFAULT 0, edit_5 integer NOT NULL DEFAULT 0,
    edit_6 integer NOT NULL DEFAULT 0, edit_7 integer NOT NULL DEFAULT 0,
    edit_8 integer NOT NULL DEFAULT 0, edit_9 integer NOT NULL DEFAULT 0,
    edited_by       text,
    -- Written by the database.
    size_mib        numeric GENERATED ALWAYS AS (round(size / 1048576.0, 3)) STORED,
    loaded_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package, version, architecture)
);

CREATE TABLE package_index.copies (LIKE package_index.packages INCLUDING ALL);
