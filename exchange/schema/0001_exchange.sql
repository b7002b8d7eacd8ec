-- The life of documents. Times are microseconds UTC, 0 = none; digests are
-- lower-case hex SHA-256; ids are UUIDv7 made by the program.

CREATE TABLE exchange_document (
    id              TEXT PRIMARY KEY,
    agency          TEXT NOT NULL,
    type            TEXT NOT NULL,
    subject         TEXT NOT NULL,
    notation        TEXT NOT NULL,
    number          BIGINT NOT NULL, -- 0 = not numbered
    year            BIGINT NOT NULL,
    issued          BIGINT NOT NULL,
    place           TEXT NOT NULL,
    priority        BIGINT NOT NULL,
    due             BIGINT NOT NULL,
    signer_name     TEXT NOT NULL,
    signer_position TEXT NOT NULL,
    competence      TEXT NOT NULL,
    state           TEXT NOT NULL,
    version         BIGINT NOT NULL, -- counts changes: the guard against two acts at once
    pdf             TEXT NOT NULL,
    pdf_size        BIGINT NOT NULL,
    axis            TEXT NOT NULL,
    created_by      TEXT NOT NULL,
    created         BIGINT NOT NULL,
    updated         BIGINT NOT NULL,
    sent            BIGINT NOT NULL,
    archived        BIGINT NOT NULL,
    package         TEXT NOT NULL,
    package_size    BIGINT NOT NULL,
    search          TEXT NOT NULL
);
CREATE INDEX exchange_document_list ON exchange_document (agency, id);
CREATE INDEX exchange_document_state ON exchange_document (agency, state, id);
CREATE INDEX exchange_document_issued ON exchange_document (issued, agency) WHERE number > 0;
CREATE INDEX exchange_document_unarchived ON exchange_document (id) WHERE state = 'sent' AND archived = 0;
CREATE UNIQUE INDEX exchange_document_number ON exchange_document (agency, year, number) WHERE number > 0;

-- Every PDF a document has been: the draft, then one per signature.
CREATE TABLE exchange_revision (
    document    TEXT NOT NULL REFERENCES exchange_document (id),
    seq         BIGINT NOT NULL,
    pdf         TEXT NOT NULL,
    size        BIGINT NOT NULL,
    step        TEXT NOT NULL, -- '' = the draft
    person      TEXT NOT NULL,
    certificate TEXT NOT NULL, -- fingerprint
    report      TEXT NOT NULL, -- our validator's judgement, JSON
    at          BIGINT NOT NULL,
    PRIMARY KEY (document, seq)
);

-- The last number given in a series. A row lock, never max()+1.
CREATE TABLE exchange_counter (
    agency TEXT NOT NULL,
    series TEXT NOT NULL,
    year   BIGINT NOT NULL,
    last   BIGINT NOT NULL,
    PRIMARY KEY (agency, series, year)
);

-- Every number given to an outgoing document, cancelled ones included.
CREATE TABLE exchange_number (
    agency    TEXT NOT NULL,
    series    TEXT NOT NULL,
    year      BIGINT NOT NULL,
    number    BIGINT NOT NULL,
    document  TEXT NOT NULL REFERENCES exchange_document (id),
    at        BIGINT NOT NULL,
    given_by  TEXT NOT NULL,
    cancelled BIGINT NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (agency, series, year, number)
);
CREATE INDEX exchange_number_document ON exchange_number (document);

CREATE TABLE exchange_delivery (
    id             TEXT PRIMARY KEY,
    document       TEXT NOT NULL REFERENCES exchange_document (id),
    sender         TEXT NOT NULL,
    recipient      TEXT NOT NULL,
    seq            BIGINT NOT NULL, -- order in the recipient's lane
    channel        TEXT NOT NULL,
    transport      TEXT NOT NULL, -- initial, processing, done, fail
    status         TEXT NOT NULL,
    step           BIGINT NOT NULL, -- of the receipt that gave the status
    final          SMALLINT NOT NULL,
    attempts       BIGINT NOT NULL,
    last_error     TEXT NOT NULL,
    next           BIGINT NOT NULL,
    created        BIGINT NOT NULL,
    updated        BIGINT NOT NULL,
    arrival_number BIGINT NOT NULL,
    arrival_year   BIGINT NOT NULL
);
CREATE UNIQUE INDEX exchange_delivery_once ON exchange_delivery (document, recipient);
CREATE INDEX exchange_delivery_lane ON exchange_delivery (recipient, seq) WHERE transport <> 'done' AND transport <> 'fail';
CREATE INDEX exchange_delivery_open ON exchange_delivery (document) WHERE final = 0;

CREATE TABLE exchange_incoming (
    id              TEXT PRIMARY KEY,
    agency          TEXT NOT NULL,
    sender          TEXT NOT NULL,
    document        TEXT NOT NULL,
    code            TEXT NOT NULL,
    type            TEXT NOT NULL,
    subject         TEXT NOT NULL,
    signer_name     TEXT NOT NULL,
    issued          BIGINT NOT NULL,
    priority        BIGINT NOT NULL,
    due             BIGINT NOT NULL,
    pdf             TEXT NOT NULL,
    pdf_size        BIGINT NOT NULL,
    envelope        TEXT NOT NULL, -- as it came, JSON
    verdict         TEXT NOT NULL,
    report          TEXT NOT NULL, -- our validator's judgement, JSON
    status          TEXT NOT NULL,
    version         BIGINT NOT NULL, -- counts statuses; the step of the receipt
    arrival_number  BIGINT NOT NULL,
    arrival_year    BIGINT NOT NULL,
    received        BIGINT NOT NULL,
    registered      BIGINT NOT NULL,
    assigned        BIGINT NOT NULL,
    updated         BIGINT NOT NULL,
    assignee        TEXT NOT NULL,
    note            TEXT NOT NULL,
    notified        SMALLINT NOT NULL, -- 0 waiting, 1 done, 2 no address or given up
    search          TEXT NOT NULL
);
CREATE UNIQUE INDEX exchange_incoming_once ON exchange_incoming (agency, sender, document);
CREATE INDEX exchange_incoming_list ON exchange_incoming (agency, id);
CREATE INDEX exchange_incoming_status ON exchange_incoming (agency, status, id);
CREATE INDEX exchange_incoming_notify ON exchange_incoming (agency, id) WHERE notified = 0;
CREATE UNIQUE INDEX exchange_incoming_number ON exchange_incoming (agency, arrival_year, arrival_number) WHERE arrival_number > 0;

-- Statuses signed by the receiving agency. Written unsigned with the act (the
-- body is final then), signed and handed to the sender by the lane job.
CREATE TABLE exchange_receipt (
    id             TEXT PRIMARY KEY,
    document       TEXT NOT NULL,
    incoming       TEXT NOT NULL REFERENCES exchange_incoming (id),
    from_agency    TEXT NOT NULL,
    to_agency      TEXT NOT NULL,
    status         TEXT NOT NULL,
    step           BIGINT NOT NULL,
    note           TEXT NOT NULL,
    arrival_number BIGINT NOT NULL,
    at             BIGINT NOT NULL,
    body           TEXT NOT NULL, -- canonical JSON
    signature      TEXT NOT NULL, -- base64 of the CMS, '' = not signed yet
    accepted       BIGINT NOT NULL, -- when the sender had checked it, 0 = not yet
    attempts       BIGINT NOT NULL,
    next           BIGINT NOT NULL,
    last_error     TEXT NOT NULL
);
CREATE UNIQUE INDEX exchange_receipt_step ON exchange_receipt (incoming, step);
CREATE INDEX exchange_receipt_document ON exchange_receipt (document, id);
CREATE INDEX exchange_receipt_lane ON exchange_receipt (to_agency, at, id) WHERE accepted = 0;
