-- Checkpoints that were time-stamped or cosigned. token is the RFC 3161 token
-- over the signed part of the note in base64, '' when there is none.
CREATE TABLE ledger_publication (
    size BIGINT PRIMARY KEY,
    note TEXT NOT NULL,
    token TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- What witnesses signed of our checkpoints: whole signature lines.
CREATE TABLE ledger_cosignature (
    size BIGINT NOT NULL,
    witness TEXT NOT NULL,
    line TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (size, witness)
);

-- Other logs for which this hub is a witness: the last checkpoint cosigned.
CREATE TABLE ledger_witnessed (
    origin TEXT PRIMARY KEY,
    size BIGINT NOT NULL,
    root TEXT NOT NULL,
    at BIGINT NOT NULL
);
