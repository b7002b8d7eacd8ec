-- Other axes (the national one, a province's platform) to which this hub connects as a client. Times are microseconds UTC.

CREATE TABLE axis_link (
    id       TEXT PRIMARY KEY,
    url      TEXT NOT NULL,
    system   TEXT NOT NULL,
    secret   TEXT NOT NULL, -- sealed under the hub's own key
    disabled SMALLINT NOT NULL,
    created  BIGINT NOT NULL,
    asked    BIGINT NOT NULL, -- last time it was asked for news
    problem  TEXT NOT NULL
);

-- Agencies that are reached there.
CREATE TABLE axis_link_agency (
    agency TEXT PRIMARY KEY,
    link   TEXT NOT NULL REFERENCES axis_link (id)
);

-- What was sent there, so that it is not sent twice.
CREATE TABLE axis_link_sent (
    link      TEXT NOT NULL REFERENCES axis_link (id),
    digest    TEXT NOT NULL, -- of the packet
    recipient TEXT NOT NULL,
    kind      TEXT NOT NULL,
    sender    TEXT NOT NULL,
    document  TEXT NOT NULL, -- the edXML DocumentId
    doc_id    TEXT NOT NULL, -- that the axis gave
    at        BIGINT NOT NULL,
    ended     BIGINT NOT NULL, -- when the recipient had taken it or given it back, 0 = not yet
    PRIMARY KEY (link, digest, recipient)
);
CREATE INDEX axis_link_sent_open ON axis_link_sent (link, doc_id) WHERE ended = 0 AND kind = 'edoc';
