-- The leases of runs at work; one that lapsed stays until it is released.
CREATE TABLE lease (
    tenant TEXT NOT NULL,
    run    BLOB NOT NULL,
    until  TEXT NOT NULL,
    PRIMARY KEY (tenant, run),
    CHECK (length(run) = 16)
) STRICT, WITHOUT ROWID;

-- Who set passwords, and through what: once here rather than in each row of a run.
CREATE TABLE origin (
    id      INTEGER PRIMARY KEY,
    caller  TEXT NOT NULL,
    backend TEXT NOT NULL,
    UNIQUE (caller, backend)
) STRICT;

-- Whatever version 1 wrote is of no known origin.
INSERT INTO origin (id, caller, backend) VALUES (1, '', '');

CREATE TABLE new_log (
    seq          INTEGER PRIMARY KEY,
    event        TEXT NOT NULL,
    tenant       TEXT NOT NULL,
    account      TEXT NOT NULL,
    -- Of all but staged: the seq of the version's staged row.
    staged       INTEGER,
    -- The run that staged the version; version 1 did not repeat it in committed.
    run          BLOB,
    -- Of staged. The origin is not declared as a reference, which would be looked up for each row; a reader refuses a row
    -- whose origin is missing.
    version      BLOB,
    staged_at    TEXT,
    user_name    TEXT,
    origin       INTEGER,
    reason       TEXT,
    -- Both are null where a program outside keeps the password.
    data_key     INTEGER REFERENCES data_key (id),
    sealed       BLOB,
    -- Of committed; version 1 did not write them.
    committed_at TEXT,
    request_id   TEXT,
    baseline     TEXT,
    CHECK (
        event = 'staged'
            AND staged IS NULL AND length(version) IS 16 AND length(run) IS 16 AND staged_at IS NOT NULL
            AND user_name IS NOT NULL AND origin IS NOT NULL AND reason IS NOT NULL
            AND (data_key IS NULL) = (sealed IS NULL)
            AND coalesce(committed_at, request_id, baseline) IS NULL
        OR event IN ('committed', 'contested', 'discarded')
            AND (staged < seq) IS TRUE
            AND coalesce(version, staged_at, user_name, origin, reason, data_key, sealed) IS NULL
            AND (event = 'committed' OR coalesce(committed_at, request_id, baseline) IS NULL)
            AND (event <> 'contested' OR length(run) IS 16)
    )
) STRICT;

INSERT INTO new_log (seq, event, tenant, account, staged, run, version, staged_at, user_name, origin, reason, data_key, sealed)
SELECT seq, event, tenant, account, staged, run, version, staged_at, user_name,
       iif(event = 'staged', 1, NULL), iif(event = 'staged', '', NULL), data_key, sealed
FROM log;

-- A program of version 1 that still runs may commit what it staged. It can stage nothing more, for it gives no origin:
-- it knows no leases.
DROP TABLE log;
ALTER TABLE new_log RENAME TO log;

CREATE UNIQUE INDEX log_version ON log (version) WHERE version IS NOT NULL;

-- Finds what other runs committed of late. It grows at its right edge too.
CREATE INDEX log_committed ON log (committed_at) WHERE committed_at IS NOT NULL;
