-- One row per Idempotency-Key of one caller: status 0 while the request runs, then the answer that a repeat gets.
CREATE TABLE httpapi_idempotency (
    caller  TEXT NOT NULL,
    key     TEXT NOT NULL,
    request TEXT NOT NULL,
    status  BIGINT NOT NULL,
    header  TEXT NOT NULL,
    body    TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX httpapi_idempotency_created ON httpapi_idempotency (created);
