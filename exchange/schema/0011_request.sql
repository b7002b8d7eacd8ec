-- What a sender asks of documents it has sent: recall (thu hồi), update (cập
-- nhật), replace (thay thế). Times are microseconds UTC, 0 = none.

CREATE TABLE exchange_request (
    id          TEXT PRIMARY KEY,
    document    TEXT NOT NULL REFERENCES exchange_document (id),
    agency      TEXT NOT NULL,
    kind        TEXT NOT NULL, -- recall, update, replace
    reason      TEXT NOT NULL,
    replacement TEXT NOT NULL, -- the document that takes the place, '' = none
    changes     TEXT NOT NULL, -- JSON, '' = none
    asked_by    TEXT NOT NULL,
    at          BIGINT NOT NULL,
    closed      BIGINT NOT NULL -- when the last copy's fate was known
);
CREATE INDEX exchange_request_document ON exchange_request (document, id);
CREATE UNIQUE INDEX exchange_request_open ON exchange_request (document) WHERE closed = 0;
CREATE INDEX exchange_request_agency ON exchange_request (agency, at) WHERE closed = 0;
CREATE INDEX exchange_request_replacement ON exchange_request (replacement) WHERE replacement <> '';

-- What became of each copy.
CREATE TABLE exchange_request_copy (
    request   TEXT NOT NULL REFERENCES exchange_request (id),
    recipient TEXT NOT NULL,
    document  TEXT NOT NULL,
    sender    TEXT NOT NULL,
    kind      TEXT NOT NULL, -- an update recalls the copies of removed recipients
    fate      TEXT NOT NULL,
    at        BIGINT NOT NULL, -- of the fate
    receipt   TEXT NOT NULL, -- id of the signed receipt that proves it, '' = the hub's own evidence does
    opened    BIGINT NOT NULL, -- first opened at the recipient
    opened_by TEXT NOT NULL,
    note      TEXT NOT NULL,
    PRIMARY KEY (request, recipient)
);
CREATE INDEX exchange_request_copy_lane ON exchange_request_copy (recipient, request) WHERE fate = 'on-its-way';

-- The same at the recipient. state waiting = the document itself is not here yet.
CREATE TABLE exchange_notice (
    request     TEXT NOT NULL,
    agency      TEXT NOT NULL,
    sender      TEXT NOT NULL,
    document    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    replacement TEXT NOT NULL, -- code of the document that takes the place
    changes     TEXT NOT NULL,
    asked       BIGINT NOT NULL,
    received    BIGINT NOT NULL,
    state       TEXT NOT NULL, -- waiting, open, applied, agreed, declined, too-late
    answered    BIGINT NOT NULL,
    answered_by TEXT NOT NULL,
    PRIMARY KEY (request, agency)
);
CREATE INDEX exchange_notice_document ON exchange_notice (agency, sender, document);
CREATE INDEX exchange_notice_open ON exchange_notice (agency, received) WHERE state = 'open';

-- Who has looked at the file of a document, outgoing or incoming.
CREATE TABLE exchange_view (
    subject TEXT NOT NULL,
    person  TEXT NOT NULL,
    name    TEXT NOT NULL,
    first   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    times   BIGINT NOT NULL,
    PRIMARY KEY (subject, person)
);
