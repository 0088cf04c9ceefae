-- The data keys, each wrapped with `age` to the recipients of the store handle that drew it.
CREATE TABLE data_key (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wrapped bytea NOT NULL
);

-- One row for each account ever staged. Whoever changes its versions locks it first.
CREATE TABLE account (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    UNIQUE (tenant, object_id)
);

-- What runs hold while they work on a tenant. One that lapsed stays, so that its run learns of it.
CREATE TABLE lease (
    tenant    text COLLATE "C" NOT NULL,
    run       uuid NOT NULL,
    lapses_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, run)
);

CREATE TABLE version (
    id           uuid PRIMARY KEY,
    account      bigint NOT NULL REFERENCES account (id),
    -- The order of an account's versions: that in which they were staged, but for one that a fence moved to the end.
    position     bigint GENERATED ALWAYS AS IDENTITY,
    -- A discarded version sheds its password and is kept, so that its id is not used again.
    state        text NOT NULL CHECK (state IN ('pending', 'current', 'previous', 'discarded')),
    -- Whether a fence kept it from becoming current, once and for all.
    contested    boolean NOT NULL DEFAULT false,
    run          uuid NOT NULL,
    -- Its history, as text that keeps every character: user name, time and origin; what is known of its commit.
    staged       json NOT NULL,
    committed    json,
    -- To compare with; it is in there too.
    committed_at timestamptz,
    data_key     bigint NOT NULL REFERENCES data_key (id),
    sealed       bytea,
    CHECK ((sealed IS NULL) = (state = 'discarded')),
    CHECK ((committed IS NULL) = (committed_at IS NULL))
);

CREATE UNIQUE INDEX version_order ON version (account, position);
CREATE INDEX version_pending ON version (account) WHERE state = 'pending';
