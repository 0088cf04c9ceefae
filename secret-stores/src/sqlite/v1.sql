-- The data keys, each wrapped with `age` to the recipients of the store handle that drew it.
CREATE TABLE data_key (
    id      INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT;

-- What happened, in this order; rows are only ever appended. The state of an account follows from its rows.
CREATE TABLE log (
    seq       INTEGER PRIMARY KEY,
    event     TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    account   TEXT NOT NULL,
    -- Of committed and discarded: the seq of the version's staged row.
    staged    INTEGER,
    -- The rest is of staged only.
    version   BLOB,
    run       BLOB,
    staged_at TEXT,
    user_name TEXT,
    data_key  INTEGER REFERENCES data_key (id),
    sealed    BLOB,
    CHECK (
        event = 'staged'
            AND staged IS NULL AND length(version) IS 16 AND length(run) IS 16 AND staged_at IS NOT NULL
            AND user_name IS NOT NULL AND data_key IS NOT NULL AND sealed IS NOT NULL
        OR event IN ('committed', 'discarded')
            AND (staged < seq) IS TRUE
            AND coalesce(version, run, staged_at, user_name, data_key, sealed) IS NULL
    )
) STRICT;

-- Version ids ascend with time, so this index grows at its right edge and costs next to nothing. An index on account,
-- whose ids are random, would make staging several times slower.
CREATE UNIQUE INDEX log_version ON log (version) WHERE version IS NOT NULL;
