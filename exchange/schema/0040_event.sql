-- What happened, agency by agency, for those who are told as it happens: pages
-- that are open, programs that are subscribed. A short memory of the evidence
-- log with a number per agency that has no gap.
CREATE TABLE exchange_event (
    agency  TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    entry   TEXT NOT NULL, -- of the evidence log
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    body    TEXT NOT NULL, -- as in the evidence log, JSON
    PRIMARY KEY (agency, seq)
);

-- The number of each agency's latest event.
CREATE TABLE exchange_event_last (
    agency TEXT PRIMARY KEY,
    last   BIGINT NOT NULL
);
