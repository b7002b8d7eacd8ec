-- Who acts for whom, and for how long (giao quyền, ủy quyền; NĐ 30/2020 Điều 13,
-- 32), and where people were before. Times are microseconds UTC, 0 = none.
CREATE TABLE registry_delegation (
    id         TEXT PRIMARY KEY,
    agency     TEXT NOT NULL REFERENCES registry_agency (id),
    giver      TEXT NOT NULL REFERENCES registry_person (id),
    taker      TEXT NOT NULL REFERENCES registry_person (id),
    scopes     TEXT NOT NULL, -- comma-separated, in the order of Scopes()
    form       TEXT NOT NULL, -- KT., TL., TUQ.; '' where nothing is signed
    basis      TEXT NOT NULL, -- the document or rule that gives the right
    valid_from BIGINT NOT NULL,
    valid_to   BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked    BIGINT NOT NULL,
    revoked_by TEXT NOT NULL,
    reason     TEXT NOT NULL
);
CREATE INDEX registry_delegation_taker ON registry_delegation (taker, valid_to);
CREATE INDEX registry_delegation_giver ON registry_delegation (giver, valid_to);
CREATE INDEX registry_delegation_agency ON registry_delegation (agency, id);

-- What a person was before a change.
CREATE TABLE registry_term (
    person     TEXT NOT NULL REFERENCES registry_person (id),
    since      BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    agency     TEXT NOT NULL,
    name       TEXT NOT NULL,
    position   TEXT NOT NULL,
    roles      TEXT NOT NULL,
    disabled   SMALLINT NOT NULL,
    changed_by TEXT NOT NULL, -- who ended the term
    reason     TEXT NOT NULL,
    PRIMARY KEY (person, until)
);

-- Changes of people, done or to come.
CREATE TABLE registry_move (
    id         TEXT PRIMARY KEY,
    person     TEXT NOT NULL REFERENCES registry_person (id),
    from_agency TEXT NOT NULL,
    agency     TEXT NOT NULL,
    position   TEXT NOT NULL,
    roles      TEXT NOT NULL,
    disabled   SMALLINT NOT NULL,
    heir       TEXT NOT NULL, -- takes the open work, '' = it goes back to the leader
    keep       SMALLINT NOT NULL, -- 1 = the certificates go on to speak for the person
    reason     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    done       BIGINT NOT NULL,
    cancelled  BIGINT NOT NULL,
    problem    TEXT NOT NULL -- why it could not be done
);
CREATE INDEX registry_move_person ON registry_move (person, id);
CREATE INDEX registry_move_due ON registry_move (at) WHERE done = 0 AND cancelled = 0;
