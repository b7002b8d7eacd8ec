-- Hubs that exchange documents with this one over /hx/v1. Times are microseconds UTC, 0 = none.

-- This hub itself.
CREATE TABLE peer_self (
    one     BIGINT PRIMARY KEY, -- 1
    id      TEXT NOT NULL,
    version BIGINT NOT NULL -- of the descriptor, grows with every key
);

CREATE TABLE peer_own_key (
    kid       TEXT PRIMARY KEY,
    public    TEXT NOT NULL, -- base64url
    sealed    TEXT NOT NULL, -- the seed, under the hub's own key
    from_time BIGINT NOT NULL,
    until     BIGINT NOT NULL -- 0 = in use
);

CREATE TABLE peer_hub (
    id       TEXT PRIMARY KEY,
    url      TEXT NOT NULL,
    name     TEXT NOT NULL,
    scope    TEXT NOT NULL, -- codes by commas that it may speak for, with all below; '' = any that nobody else has
    disabled SMALLINT NOT NULL,
    tls      TEXT NOT NULL, -- pins of its TLS keys, by commas
    chunk    BIGINT NOT NULL, -- bytes of a part that it takes in one request
    version  BIGINT NOT NULL, -- of its descriptor
    registry BIGINT NOT NULL, -- version of its registry that is known here
    pulled   BIGINT NOT NULL, -- its last evidence event that is known here
    added    BIGINT NOT NULL,
    seen     BIGINT NOT NULL,
    problem  TEXT NOT NULL -- the last one, '' = none
);

CREATE TABLE peer_hub_key (
    hub       TEXT NOT NULL REFERENCES peer_hub (id),
    kid       TEXT NOT NULL,
    public    TEXT NOT NULL,
    from_time BIGINT NOT NULL,
    until     BIGINT NOT NULL,
    PRIMARY KEY (hub, kid)
);

-- Which hub speaks for an agency, and when.
CREATE TABLE peer_agency (
    code      TEXT PRIMARY KEY,
    hub       TEXT NOT NULL REFERENCES peer_hub (id),
    from_time BIGINT NOT NULL,
    until     BIGINT NOT NULL
);
CREATE INDEX peer_agency_hub ON peer_agency (hub, code);

-- What was signed may count once.
CREATE TABLE peer_nonce (
    hub   TEXT NOT NULL,
    nonce TEXT NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (hub, nonce)
);
CREATE INDEX peer_nonce_at ON peer_nonce (at);

-- Consignments that were taken here.
CREATE TABLE peer_consignment (
    id        TEXT PRIMARY KEY,
    hub       TEXT NOT NULL,
    sender    TEXT NOT NULL,
    recipient TEXT NOT NULL,
    document  TEXT NOT NULL,
    digest    TEXT NOT NULL, -- of the PDF
    answer    TEXT NOT NULL, -- what was answered, JSON
    at        BIGINT NOT NULL
);

-- Evidence on its way to other hubs, numbered without a gap for each.
CREATE TABLE peer_event (
    hub   TEXT NOT NULL,
    seq   BIGINT NOT NULL,
    id    TEXT NOT NULL,
    about TEXT NOT NULL, -- the document
    body  TEXT NOT NULL, -- JSON
    at    BIGINT NOT NULL,
    taken BIGINT NOT NULL, -- when the other hub had it, 0 = not yet
    said  TEXT NOT NULL,   -- why it did not take it
    PRIMARY KEY (hub, seq)
);
CREATE UNIQUE INDEX peer_event_once ON peer_event (hub, id);
CREATE INDEX peer_event_open ON peer_event (hub, seq) WHERE taken = 0;
CREATE INDEX peer_event_about ON peer_event (hub, about);

-- Signed minutes of reconciliations.
CREATE TABLE peer_minutes (
    id        TEXT PRIMARY KEY,
    hub       TEXT NOT NULL,
    from_time BIGINT NOT NULL,
    to_time   BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    body      TEXT NOT NULL
);
