-- Evidence. position is the entry's place in the Merkle log, from 0 without a
-- gap. SQLite gives it with the row, PostgreSQL when the entry is sequenced.
CREATE TABLE ledger_entry (
    id TEXT PRIMARY KEY,
    position BIGINT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    salt TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX ledger_entry_position ON ledger_entry (position);
CREATE INDEX ledger_entry_pending ON ledger_entry (id) WHERE position IS NULL;
CREATE INDEX ledger_entry_subject ON ledger_entry (subject, id);

-- The hashes of the log as C2SP tlog-tiles of 256 hashes; the last tile of a
-- level is partial. hashes is base64.
CREATE TABLE ledger_tile (
    level BIGINT NOT NULL,
    number BIGINT NOT NULL,
    hashes TEXT NOT NULL,
    PRIMARY KEY (level, number)
);

-- The latest signed checkpoint; one row.
CREATE TABLE ledger_checkpoint (
    name TEXT PRIMARY KEY,
    size BIGINT NOT NULL,
    note TEXT NOT NULL,
    at BIGINT NOT NULL
);
