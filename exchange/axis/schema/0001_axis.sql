-- The office of the axis at this hub: systems that connect, packets they sent or may fetch. Times are microseconds UTC.

CREATE TABLE axis_system (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    secret   TEXT NOT NULL, -- sealed under the hub's own key
    disabled SMALLINT NOT NULL,
    created  BIGINT NOT NULL
);

CREATE TABLE axis_system_agency (
    agency TEXT PRIMARY KEY, -- one system speaks for an agency
    system TEXT NOT NULL REFERENCES axis_system (id)
);
CREATE INDEX axis_system_agency_system ON axis_system_agency (system, agency);

CREATE TABLE axis_packet (
    id       TEXT PRIMARY KEY, -- the DocId that the sender is told
    system   TEXT NOT NULL,    -- '' = this hub itself
    sender   TEXT NOT NULL,
    kind     TEXT NOT NULL,    -- edoc, status
    document TEXT NOT NULL,    -- the edXML DocumentId, of the document that a status answers
    notation TEXT NOT NULL,
    title    TEXT NOT NULL,
    digest   TEXT NOT NULL,
    size     BIGINT NOT NULL,
    hashed   TEXT NOT NULL,    -- which form of hash-file matched: short, padded, none
    created  BIGINT NOT NULL
);
CREATE UNIQUE INDEX axis_packet_once ON axis_packet (sender, kind, digest);
CREATE INDEX axis_packet_sent ON axis_packet (sender, created, id);

-- One packet for one recipient.
CREATE TABLE axis_copy (
    id        TEXT PRIMARY KEY, -- the docId that the recipient fetches by
    packet    TEXT NOT NULL REFERENCES axis_packet (id),
    recipient TEXT NOT NULL,
    status    TEXT NOT NULL, -- initial, processing, done, fail
    said      TEXT NOT NULL, -- the last word of the recipient's system, or why it failed
    created   BIGINT NOT NULL,
    updated   BIGINT NOT NULL
);
CREATE UNIQUE INDEX axis_copy_once ON axis_copy (packet, recipient);
CREATE INDEX axis_copy_inbox ON axis_copy (recipient, created, id);
CREATE INDEX axis_copy_open ON axis_copy (recipient, id) WHERE status = 'initial' OR status = 'processing';
