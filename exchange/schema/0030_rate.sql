-- The electronic exchange rate as a projection of the evidence: what the entries
-- of the log say of each document and delivery, and the sums of it. Everything
-- here can be made anew from the log. Days count from 1 January 1970 in Vietnam.

-- One row: how far the log is counted, and by which definition.
CREATE TABLE exchange_rate_state (
    name       TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    place      BIGINT NOT NULL -- of the next entry
);

CREATE TABLE exchange_rate_document (
    id      TEXT PRIMARY KEY,
    agency  TEXT NOT NULL,
    type    TEXT NOT NULL,
    day     BIGINT NOT NULL, -- of issue, 0 = not numbered
    code    TEXT NOT NULL,
    flags   BIGINT NOT NULL, -- rateNumbered, rateSealed, …
    send_by BIGINT NOT NULL,
    sent    BIGINT NOT NULL,
    failure TEXT NOT NULL,
    reason  TEXT NOT NULL, -- of paper
    cause   TEXT NOT NULL, -- why it is missing, '' = it is not
    marks   BIGINT NOT NULL
);
CREATE INDEX exchange_rate_document_gap ON exchange_rate_document (cause, day, id) WHERE cause <> '';

CREATE TABLE exchange_rate_delivery (
    document  TEXT NOT NULL,
    recipient TEXT NOT NULL,
    agency    TEXT NOT NULL, -- the sender, as for the document
    type      TEXT NOT NULL,
    day       BIGINT NOT NULL,
    state     TEXT NOT NULL, -- waiting, retrying, failed, done, paper
    failure   TEXT NOT NULL,
    status    TEXT NOT NULL,
    flags     BIGINT NOT NULL,
    since     BIGINT NOT NULL, -- when it came to where it stands
    cause     TEXT NOT NULL,
    marks     BIGINT NOT NULL,
    PRIMARY KEY (document, recipient)
);
CREATE INDEX exchange_rate_delivery_gap ON exchange_rate_delivery (cause, day, document, recipient) WHERE cause <> '';

-- How many documents (unit 0) and deliveries (unit 1) of a day, agency and type
-- are alike in cause and marks.
CREATE TABLE exchange_rate_sum (
    day    BIGINT NOT NULL,
    agency TEXT NOT NULL,
    type   TEXT NOT NULL,
    unit   SMALLINT NOT NULL,
    cause  TEXT NOT NULL,
    marks  BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (day, agency, type, unit, cause, marks)
);

-- Documents issued on paper (only) or on paper too (also), and secret ones, of
-- which nothing but their number is kept.
CREATE TABLE exchange_paper (
    id         TEXT PRIMARY KEY, -- of the document; of the mark where there is none
    agency     TEXT NOT NULL,
    kind       TEXT NOT NULL,    -- only, also, secret
    reason     TEXT NOT NULL,
    excluded   SMALLINT NOT NULL,
    recipients TEXT NOT NULL,    -- codes parted by commas
    others     TEXT NOT NULL,    -- who has no code
    note       TEXT NOT NULL,
    day        TEXT NOT NULL,
    at         BIGINT NOT NULL,
    by_actor   TEXT NOT NULL
);
CREATE INDEX exchange_paper_agency ON exchange_paper (agency, id);

-- What kind of failure stopped a delivery the last time, '' = none.
ALTER TABLE exchange_delivery ADD COLUMN failure TEXT NOT NULL DEFAULT '';
